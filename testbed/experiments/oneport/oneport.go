// Package oneport is the experiment on a web server of several processes on one port, of which one blocks on the disk. It
// compares how processes come by connections: by accepting from one listening socket, by being handed accepted ones, and
// from listening sockets of their own (SO_REUSEPORT), among which the kernel shares connections out by their hash, whether
// or not anybody accepts them.
package oneport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"lbctl/testbed/disk"
	"lbctl/testbed/experiment"
	"lbctl/testbed/helper"
	"lbctl/testbed/measure"
	"lbctl/testbed/netns"
)

// Experiment is the entry of the lab's catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: "one-port", Problem: "3",
		Question: "An event-driven web server reads from the disk with blocking I/O: how can several processes serve one port, so that the server is available while one of them is blocked?",
		Claim:    "All processes accept connections from the same socket on port 80. Or one process alone listens, and gives blocking disk I/O to worker processes by IPC.",
		Method:   "The servers are real processes with raw epoll loops. One of them reads a file of a slow disk (FUSE) whose read waits; then connections come with a request each that needs no disk. When all that can be answered has been, and every thread of every process sleeps, the disk is released. A connection is stranded if the server's own clock says that it was answered after that. Each answer carries the number of the process that gave it.",
		Needs:    experiment.Needs{Time: 30 * time.Second, Quick: 12 * time.Second},
		Rig:      "loopback",
		Checks: []experiment.Statement{
			{Name: SharedServes, Text: "with one listening socket for all, no new connection waits for the blocked process"},
			{Name: PassedServes, Text: "with accepted sockets passed to whoever is free, none does either"},
			{Name: WorkersServe, Text: "with one process that has all connections and others that read from the disk, none does either"},
			{Name: ReusePortStrands, Text: "with a listening socket for each (SO_REUSEPORT), 1/n of new connections wait, n being the number of processes"},
			{Name: KeptWait, Text: "connections that the blocked process had before wait in each of these designs but that with disk workers"},
			{Name: NothingLost, Text: "what waited is answered once the disk is"},
		},
		Controls: []experiment.Statement{
			{Name: NothingBlocked, Text: "no process of SO_REUSEPORT is blocked: nothing waits"},
			{Name: OwnSockets, Text: "the check of the shared socket is asked of SO_REUSEPORT"},
			{Name: PassedInTurn, Text: "accepted sockets are passed to the processes in turn, and not to whoever is free"},
			{Name: KeptByWorkers, Text: "the check of old connections is asked of the design with disk workers"},
		},
		Predictions: []experiment.Prediction{
			{Name: "stranded-shared", Unit: "%", Question: "All processes accept from one listening socket; one of them is blocked by the disk. What share of new connections waits for it, in %?"},
			{Name: "stranded-reuseport", Unit: "%", Tolerance: 5, Question: "Each of N processes (N is the parameter processes) has a listening socket of its own on the port (SO_REUSEPORT); one is blocked. What share of new connections waits for it, in %?"},
			{Name: "stranded-in-turn", Unit: "%", Tolerance: 1, Question: "One process accepts, and passes the connections on to N others in turn; one of these is blocked. What share of new connections waits for it, in %?"},
			{Name: "kept-wait", Kind: experiment.YesNo, Question: "All processes accept from one listening socket. Can a client that has been connected for a while be left waiting while one process is blocked?"},
		},
		Design: func() experiment.Design { return &design{} },
	}
}

// design implements experiment.Design.
type design struct {
	processes, connections, kept int
	rate                         float64

	results map[Design]*Result
}

// Result is what one design did.
type Result struct {
	Design Design
	// Processes are the numbers of those that answer, Blocked that of the one that was blocked.
	Processes []int
	Blocked   int
	// Free is what became of new connections while nothing was blocked, Busy while one process was. Owner is by whom
	// each of the kept connections was answered before, Kept what became of its second request, while one was blocked.
	Free, Busy, Kept []Answer
	Owner            []int
	// Released is when the disk answered.
	Released time.Duration
}

// Parameters implements experiment.Design.
func (d *design) Parameters(p *experiment.Parameters) {
	p.Int(&d.processes, "processes", experiment.Ints{Low: 2, High: 16, Default: 4, Full: 8}, "how many processes serve the port")
	p.Int(&d.connections, "connections", experiment.Ints{Low: 200, High: 1 << 14, Default: 2000, Quick: 400, Full: 8000}, "how many new connections come, one request on each")
	p.Int(&d.kept, "kept", experiment.Ints{Low: 16, High: 1000, Default: 64, Quick: 32}, "how many connections are there already when a process blocks")
	p.Float(&d.rate, "rate", experiment.Floats{Low: 10, High: 10_000, Default: 1000}, "new connections a second, on average")
}

// designs are in the order of the report.
var designs = []Design{Shared, Passed, Workers, ReusePort, InTurn}

// Arms implements experiment.Design.
func (d *design) Arms(_ context.Context, r *experiment.Run) (arms []experiment.Arm, err error) {
	r.XDP, d.results = "not used", map[Design]*Result{}
	host, err := r.Bed.Namespace("host")
	if err != nil {
		return nil, err
	}
	for i, kind := range designs {
		arms = append(arms, experiment.Arm{Name: string(kind), Steps: 2, Run: func(ctx context.Context) error {
			result, err := d.try(ctx, r, host, kind, 80+i, uint64(i))
			if err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
			d.results[kind] = result
			return nil
		}})
	}
	return arms, nil
}

// try measures one design.
func (d *design) try(ctx context.Context, r *experiment.Run, host *netns.Namespace, kind Design, port int, stream uint64) (result *Result, err error) {
	slow, err := disk.New()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, slow.Close()) }()
	master, err := Master().Start(r.Program, host, string(kind), masterConfig{Design: kind, Processes: d.processes, Port: port, Stuck: slow.Path(disk.Stuck)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, master.Stop()) }()
	defer context.AfterFunc(ctx, func() { _ = master.Stop() })() // which is asked for its error below
	processes, err := d.numbers(master)
	if err != nil {
		return nil, err
	}
	random := r.Random(stream)
	gap := func() time.Duration { return time.Duration(random.ExpFloat64() / d.rate * float64(time.Second)) }
	s := site{host, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	result = &Result{Design: kind, Processes: processes}
	if result.Free, err = d.free(ctx, s, gap); err != nil {
		return nil, err
	}
	r.At(1)
	return result, d.busy(ctx, s, gap, slow, result)
}

// numbers reads the numbers of all processes.
func (d *design) numbers(master *helper.Process) (all []int, err error) {
	for range d.processes + 1 {
		line, err := master.Line()
		if err != nil {
			return nil, err
		}
		pid, err := strconv.Atoi(line)
		if err != nil {
			return nil, fmt.Errorf("read number of process: %w", err)
		}
		all = append(all, pid)
	}
	slices.Sort(all)
	return all, nil
}

// free sends requests on new connections while nothing is blocked.
func (d *design) free(ctx context.Context, s site, gap func() time.Duration) ([]Answer, error) {
	p, err := send(ctx, d.connections, gap, func(int) (*net.TCPConn, error) { return s.dial() })
	defer p.close()
	if err != nil {
		return nil, err
	}
	return p.wait(ctx)
}

// busy blocks one process, sends requests on connections that are there already and on new ones, and releases the disk when
// nothing more happens.
func (d *design) busy(ctx context.Context, s site, gap func() time.Duration, slow *disk.Disk, result *Result) error {
	kept, err := send(ctx, d.kept, gap, func(int) (*net.TCPConn, error) { return s.dial() })
	defer kept.close()
	if err != nil {
		return err
	}
	before, err := kept.wait(ctx)
	if err != nil {
		return err
	}
	for _, a := range before {
		result.Owner = append(result.Owner, a.Process)
	}
	// The process that has the first connection is the one that blocks.
	result.Blocked = result.Owner[0]
	if _, err := kept.clients[0].Write([]byte{stuck}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, slow.Release)
	defer stop()
	slow.AwaitStuck(1)
	old, err := send(ctx, d.kept-1, gap, func(i int) (*net.TCPConn, error) { return kept.clients[i+1], nil })
	if err != nil {
		return err
	}
	fresh, err := send(ctx, d.connections, gap, func(int) (*net.TCPConn, error) { return s.dial() })
	defer fresh.close()
	if err != nil {
		return err
	}
	for _, p := range []*pending{old, fresh} {
		if err := p.settle(ctx, result.Processes); err != nil {
			return err
		}
	}
	result.Released = measure.Monotonic()
	slow.Release()
	if result.Kept, err = old.wait(ctx); err != nil {
		return err
	}
	if result.Busy, err = fresh.wait(ctx); err != nil {
		return err
	}
	var last Answer // of the request that blocked
	return last.get(kept.clients[0])
}

// Conclude implements experiment.Design.
func (d *design) Conclude(r *experiment.Run) error {
	checks := Checks(d.results)
	r.Check(checks...)
	r.Control(Controls(d.results)...)
	answer(r, d.results)
	r.Table(claims(checks), designTable(d.results), shareTable(d.results))
	figures, err := figures(d.results)
	r.Figure(figures...)
	return err
}
