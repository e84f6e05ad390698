package handshake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/testbed/capture"
	"lbctl/testbed/helper"
	"lbctl/testbed/trace"
)

// The sides of a connection.
const (
	client = "client"
	server = "server"
)

// step is one system call of a scenario.
type step struct {
	by string
	order
	// later: the next step is ordered while the call still waits.
	later bool
	// established: the next step is ordered once the server's kernel lists as many connections as established.
	established int
}

// scenario is a succession of system calls.
type scenario struct {
	name string
	// families is over how many families of addresses it is done.
	families int
	steps    []step
}

// The names of the scenarios.
const (
	blocking     = "blocking"
	nonblocking  = "non-blocking"
	noListener   = "no listener"
	deferAccept  = "deferred accept"
	fastOpen     = "fast open"
	fullBacklog  = "full backlog"
	longBacklog  = 16
	shortBacklog = 0 // room for one connection (sk_acceptq_is_full)
)

// scenarios are the two ways in which a client connects, and the controls.
func scenarios() []scenario {
	opened := func(listen order, socket order) []step {
		socket.Call = "socket"
		return []step{
			{by: server, order: order{Call: "socket", Option: listen.Option}}, {by: server, order: order{Call: "bind"}},
			{by: server, order: order{Call: "listen", Backlog: listen.Backlog}}, {by: client, order: socket},
		}
	}
	connect, accept, write := step{by: client, order: order{Call: "connect"}}, step{by: server, order: order{Call: "accept"}}, step{by: client, order: order{Call: "write"}}
	until := func(s step, established int) step {
		s.established = established
		return s
	}
	waiting := accept
	waiting.later = true
	both := len(serverAddresses)
	plain, long := order{}, order{Backlog: longBacklog}
	return []scenario{
		{blocking, both, append(opened(long, plain), until(connect, 1), accept)},
		{nonblocking, both, append(opened(long, order{Nonblocking: true}), until(connect, 1), accept)},
		{noListener, both, []step{{by: client, order: order{Call: "socket"}}, connect}},
		{deferAccept, both, append(opened(order{Backlog: longBacklog, Option: unix.TCP_DEFER_ACCEPT}, plain), connect, waiting, until(write, 1))},
		{fastOpen, both, append(opened(long, order{Option: unix.TCP_FASTOPEN_CONNECT}), connect, until(write, 1), accept)},
		{fullBacklog, 1, append(opened(order{Backlog: shortBacklog}, plain), until(connect, 1),
			step{by: other, order: order{Call: "socket", Nonblocking: true}}, step{by: other, order: order{Call: "connect"}}, until(accept, 2))},
	}
}

// other is a second client, in the namespace of the first.
const other = "second client"

// State is a change of a socket's state, as the tracepoint sock:inet_sock_set_state tells it.
type State struct {
	Side, From, To string
	// Time is on CLOCK_MONOTONIC, to a microsecond.
	Time time.Duration
	// Thread is the name of the thread that ran, Softirq tells that a softirq ran on top of it.
	Thread  string
	Softirq bool
	// Port is the client's port, 0 if it has none yet.
	Port string
}

// Taken is a call of a step, and who made it.
type Taken struct {
	By string
	Call
}

// Evidence is what one scenario left.
type Evidence struct {
	Scenario, Family string
	Calls            []Taken
	// Segments are those on the client's link, in both directions, States the changes of both sides' sockets, both in
	// the order of time.
	Segments []capture.Segment
	States   []State
	// Server is the server's address.
	Server netip.AddrPort
}

// act runs the steps of a scenario. Between two of them it waits a pause, so that what a call sets off later is not
// taken for an effect of the next one.
func (d *design) act(ctx context.Context, s scenario, at netip.AddrPort) (e Evidence, err error) {
	e = Evidence{Scenario: s.name, Family: family(at), Server: at}
	var mu sync.Mutex // of the segments, until the capture has stopped
	seen, err := capture.Start(d.link, capture.Options{Segment: func(s capture.Segment) {
		mu.Lock()
		defer mu.Unlock()
		e.Segments = append(e.Segments, s)
	}})
	if err != nil {
		return e, err
	}
	records, err := d.tracer.Record(func() (err error) {
		e.Calls, err = d.take(ctx, s.steps, at)
		return err
	})
	_, stats, stopErr := seen.Stop()
	if err = errors.Join(err, stopErr); err != nil {
		return e, fmt.Errorf("%s, %s: %w", s.name, e.Family, err)
	}
	if stats.Dropped > 0 {
		return e, fmt.Errorf("%s: %d packets were lost", s.name, stats.Dropped)
	}
	e.States = states(records, at.Port())
	return e, d.closeAll()
}

// take makes the calls.
func (d *design) take(ctx context.Context, steps []step, at netip.AddrPort) (calls []Taken, err error) {
	var waiting []step
	for _, s := range steps {
		s.At = at
		if err := d.tell(s); err != nil {
			return nil, err
		}
		if s.later {
			waiting = append(waiting, s)
		} else {
			c, err := d.answer(s.by)
			if err != nil {
				return nil, err
			}
			calls = append(calls, c)
		}
		if s.established > 0 {
			if err := d.awaitEstablished(ctx, at, s.established); err != nil {
				return nil, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(d.pause):
		}
	}
	for _, s := range waiting {
		c, err := d.answer(s.by)
		if err != nil {
			return nil, err
		}
		calls = append(calls, c)
	}
	slices.SortFunc(calls, func(a, b Taken) int { return int(a.Began - b.Began) })
	return calls, nil
}

func (d *design) tell(s step) error {
	text, err := json.Marshal(s.order)
	if err != nil {
		return err
	}
	return d.callers[s.by].Tell(text)
}

func (d *design) answer(by string) (Taken, error) {
	c, err := helper.Answer[Call](d.callers[by])
	return Taken{By: by, Call: c}, err
}

// closeAll closes all sockets.
func (d *design) closeAll() error {
	for by := range d.callers {
		if err := d.tell(step{by: by, order: order{Call: "close"}}); err != nil {
			return err
		}
		if c, err := d.answer(by); err != nil || c.Error != "" {
			return errors.Join(err, fmt.Errorf("close sockets of %s: %s", by, c.Error))
		}
	}
	return nil
}

// patience is how long a connection may take to be established: the client sends a lost SYN again after a second.
const patience = 20 * time.Second

// awaitEstablished waits until the server's kernel lists a number of connections to it, all as established
// (proc_pid_net(5)).
func (d *design) awaitEstablished(ctx context.Context, at netip.AddrPort, want int) error {
	file := fmt.Sprintf("/proc/%d/net/tcp", d.callers[server].PID())
	if at.Addr().Is6() {
		file += "6"
	}
	const remote, local, state = 2, 1, 3
	return helper.Until(ctx, patience, "an established connection", func() error {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		found := 0
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) <= state || !strings.HasSuffix(f[local], fmt.Sprintf(":%04X", at.Port())) || strings.HasSuffix(f[remote], ":0000") {
				continue
			}
			if f[state] != "01" {
				return fmt.Errorf("a connection is in state %s", f[state])
			}
			found++
		}
		if found < want {
			return fmt.Errorf("%d connections are established, want %d", found, want)
		}
		return nil
	}, d.callers[server].Over)
}

// states reads the changes of state of the sockets with a port.
func states(records []trace.Record, port uint16) (all []State) {
	want := fmt.Sprint(port)
	for _, r := range records {
		fields := map[string]string{}
		for _, word := range strings.Fields(r.Text) {
			key, value, _ := strings.Cut(word, "=")
			fields[key] = value
		}
		s := State{
			From: strings.TrimPrefix(fields["oldstate"], "TCP_"), To: strings.TrimPrefix(fields["newstate"], "TCP_"),
			Time: r.Time, Thread: r.Task, Softirq: len(r.Context) > 2 && strings.ContainsRune("sH", rune(r.Context[2])),
		}
		switch want {
		case fields["sport"]:
			s.Side, s.Port = server, fields["dport"]
		case fields["dport"]:
			s.Side, s.Port = client, fields["sport"]
		default:
			continue
		}
		all = append(all, s)
	}
	return all
}

func family(at netip.AddrPort) string {
	if at.Addr().Is6() {
		return "IPv6"
	}
	return "IPv4"
}
