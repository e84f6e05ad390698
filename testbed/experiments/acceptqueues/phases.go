package acceptqueues

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"lbctl/testbed/helper"
	"lbctl/testbed/measure"
	"lbctl/testbed/trace"
)

// serverNames are those that answer clients, in the order of the report.
func serverNames() []string {
	var names []string
	for _, m := range modes() {
		names = append(names, string(m))
	}
	return append(names, alone)
}

// wake lets connections come one at a time while all threads of a server sleep, and counts the threads that are woken.
func (d *design) wake(ctx context.Context) error {
	for _, name := range serverNames() {
		s := d.servers[name]
		job := Job{Target: s.address, Connections: d.calm, Clients: 1, Process: s.PID(), Threads: s.threads}
		// The first connections find threads that are still starting.
		first := job
		first.Connections = 10
		if _, err := helper.Ask[Report](ctx, d.client, first); err != nil {
			return err
		}
		before, err := helper.Ask[Counts](ctx, s.Process, nil)
		if err != nil {
			return err
		}
		var c calm
		records, err := record(d.wakings, "sched:sched_waking", ofThreads("pid", s.threads), func() (err error) {
			c.report, err = helper.Ask[Report](ctx, d.client, job)
			return err
		})
		if err != nil {
			return err
		}
		after, err := helper.Ask[Counts](ctx, s.Process, nil)
		if err != nil {
			return err
		}
		c.wakings, c.empty = len(records), after.Empty-before.Empty
		d.found.calm[name] = c
		d.run.Advance(1)
	}
	return nil
}

// record records an event while f runs.
func record(i *trace.Instance, event, filter string, f func() error) ([]trace.Record, error) {
	if err := i.Event(event, filter); err != nil {
		return nil, err
	}
	return i.Record(f)
}

// ofThreads is the condition that a field of an event is one of some threads.
func ofThreads(field string, threads []int) string {
	var any []string
	for _, t := range threads {
		any = append(any, fmt.Sprintf("%s == %d", field, t))
	}
	return strings.Join(any, " || ")
}

// contend fills the queue, lets the threads drain it, and counts how often one of them slept for the lock.
func (d *design) contend(ctx context.Context) (err error) {
	if err := d.sleeps.Stacks(); err != nil {
		return err
	}
	var arms []measure.Arm[drained]
	for _, name := range []string{sharedQueue, ownQueues, alone} {
		s := d.drains[name]
		arms = append(arms, measure.Arm[drained]{Name: name, Run: func(ctx context.Context, _ measure.Turn) (drained, error) {
			return d.drainOnce(ctx, s)
		}})
	}
	d.found.drained, err = measure.Run(ctx, d.plan(), arms...)
	return err
}

// plan is that of both measurements in rounds.
func (d *design) plan() measure.Plan {
	return measure.Plan{Seed: d.run.Seed, Rounds: d.rounds, Warmup: 1, Progress: func(measure.Turn) { d.run.Advance(1) }}
}

// uninterruptible is TASK_UNINTERRUPTIBLE of include/linux/sched.h: in this state a thread waits for a socket's lock.
const uninterruptible = 2

func (d *design) drainOnce(ctx context.Context, s *server) (m drained, err error) {
	fill := Job{Target: s.address, Connections: d.queued, Clients: 1, Hold: true}
	if m.filled, err = helper.Ask[Report](ctx, d.client, fill); err != nil {
		return m, err
	}
	filter := fmt.Sprintf("prev_state == %d && (%s)", uninterruptible, ofThreads("prev_pid", s.threads))
	records, err := record(d.sleeps, "sched:sched_switch", filter, func() (err error) {
		m.Drained, err = helper.Ask[Drained](ctx, s.Process, nil)
		return err
	})
	for _, r := range records {
		if waitsForListener(r.Stack) {
			m.waits++
		}
	}
	return m, err
}

// waitsForListener tells whether a thread that is going to sleep waits for the lock of a listening socket.
func waitsForListener(stack []string) bool {
	return slices.Contains(stack, "__lock_sock") && slices.Contains(stack, "inet_csk_accept")
}

// load lets clients connect as fast as they can.
func (d *design) load(ctx context.Context) (err error) {
	var arms []measure.Arm[loaded]
	for _, name := range serverNames() {
		s := d.servers[name]
		arms = append(arms, measure.Arm[loaded]{Name: name, Run: func(ctx context.Context, _ measure.Turn) (m loaded, err error) {
			before, err := helper.Ask[Counts](ctx, s.Process, nil)
			if err != nil {
				return m, err
			}
			if m.Report, err = helper.Ask[Report](ctx, d.client, Job{Target: s.address, Connections: d.busy, Clients: d.clients}); err != nil {
				return m, err
			}
			after, err := helper.Ask[Counts](ctx, s.Process, nil)
			m.empty = after.Empty - before.Empty
			return m, err
		}})
	}
	d.found.loaded, err = measure.Run(ctx, d.plan(), arms...)
	return err
}
