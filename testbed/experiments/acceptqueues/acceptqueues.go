// Package acceptqueues measures what threads pay for sharing a listening socket, and what a listener for each of them
// saves. Servers of one kind each accept the same connections: threads that wait in accept, threads that wait in epoll
// with and without EPOLLEXCLUSIVE, and threads with a listener of their own (SO_REUSEPORT).
//
// The kernel says how many threads a connection wakes, and how often a thread had to wait for the listener's lock: both
// are events of its scheduler, recorded for the threads of the server alone.
package acceptqueues

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"lbctl/testbed/experiment"
	"lbctl/testbed/helper"
	"lbctl/testbed/measure"
	"lbctl/testbed/netns"
	"lbctl/testbed/trace"
)

// The names of checks and controls.
const (
	AllAnswered       = "all-answered"
	BlockingWakesOne  = "blocking-wakes-one"
	ExclusiveWakesOne = "exclusive-wakes-one"
	OwnWakesOne       = "reuseport-wakes-one"
	OwnNeverWaits     = "reuseport-never-waits"
	HerdWakesAll      = "epoll-wakes-all"
	SharedWaits       = "shared-waits"
	OneThread         = "one-thread"
)

// Experiment is the entry of the catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: "accept-queues", Problem: "4c",
		Question: "What do threads that accept connections on one listening socket pay for sharing it, and does a listener for each core save that?",
		Claim:    "Multiple threads on different cores all contend for a lock to accept connections on the shared listen socket. Per-core accept queues remove the contention.",
		Method: "One server for each way to wait accepts connections of the same clients. Wake-ups: one connection at a time comes while all threads sleep, and the kernel's event sched_waking counts the threads that it wakes. " +
			"Lock: a thousand connections wait in the queue, and one thread on each core accepts them as fast as it can; the event sched_switch, with its stack, counts how often a thread had to sleep until another one gave the socket's lock back (__lock_sock below inet_csk_accept). " +
			"Speed: clients connect again and again, the servers in turns. A short wait for a lock is spinning, which this does not count: the event lock:contention_begin reports it from the third contender on, so with two cores never.",
		Needs: experiment.Needs{Time: 30 * time.Second, Quick: 12 * time.Second},
		Rig:   "loopback",
		Checks: []experiment.Statement{
			{Name: AllAnswered, Text: "every connection is accepted and answered"},
			{Name: BlockingWakesOne, Text: "a connection wakes one of the threads that wait in accept"},
			{Name: ExclusiveWakesOne, Text: "a connection wakes one of the threads that wait in epoll with EPOLLEXCLUSIVE"},
			{Name: OwnWakesOne, Text: "a connection wakes one of the threads with a listener each"},
			{Name: OwnNeverWaits, Text: "no thread with a listener of its own waits for its lock"},
		},
		Controls: []experiment.Statement{
			{Name: HerdWakesAll, Text: "the same without EPOLLEXCLUSIVE: a connection wakes all threads"},
			{Name: SharedWaits, Text: "the threads share one listener: some wait for its lock"},
			{Name: OneThread, Text: "one thread, with the arrangements of both controls: it wakes alone and never waits, because there is nobody to share with"},
		},
		Predictions: predictions(),
		Design:      func() experiment.Design { return &design{} },
	}
}

// design implements experiment.Design.
type design struct {
	threads, calm, busy, queued, clients, rounds int

	run       *experiment.Run
	namespace *netns.Namespace
	client    *helper.Process
	// wakings and sleeps record the events of the server that is measured.
	wakings, sleeps *trace.Instance
	// servers answer clients as they come, drains accept what waits.
	servers, drains map[string]*server

	found evidence
}

// Parameters implements experiment.Design.
func (d *design) Parameters(f *experiment.Parameters) {
	type ints = experiment.Ints
	f.Int(&d.threads, "threads", ints{Low: 2, High: 256, Default: 4}, "the threads of each server")
	f.Int(&d.calm, "calm", ints{Low: 10, High: 100_000, Default: 400, Quick: 100, Full: 4000}, "connections that come one at a time, for each server")
	f.Int(&d.busy, "busy", ints{Low: 10, High: 1_000_000, Default: 2000, Quick: 600, Full: 10_000}, "connections of a round under load, for each server")
	f.Int(&d.queued, "queued", ints{Low: 10, High: backlog, Default: 1000, Quick: 600, Full: 2000}, "connections that wait in the queue when the threads begin, in each round")
	f.Int(&d.clients, "clients", ints{Low: 1, High: 1000, Default: 16}, "clients at a time under load")
	f.Int(&d.rounds, "rounds", ints{Low: minRounds, High: 10_000, Default: 40, Quick: minRounds, Full: 200}, "rounds of either measurement")
}

// minRounds is the least number of rounds of which a median has an interval.
var minRounds = measure.RoundsFor(measure.FalseAlarm)

// alone is the server with one thread.
const alone = "one thread"

// Arms implements experiment.Design: it starts all servers.
func (d *design) Arms(_ context.Context, r *experiment.Run) (arms []experiment.Arm, err error) {
	d.run, r.XDP = r, "not used"
	if d.namespace, err = r.Bed.Namespace("host"); err != nil {
		return nil, err
	}
	if err := d.namespace.Sysctl("net/core/somaxconn", fmt.Sprint(backlog)); err != nil {
		return nil, err
	}
	if err := d.startAll(); err != nil {
		return nil, err
	}
	if d.wakings, err = r.Bed.Trace("wakings"); err != nil {
		return nil, err
	}
	if d.sleeps, err = r.Bed.Trace("sleeps"); err != nil {
		return nil, err
	}
	d.found = evidence{threads: d.threads, cores: runtime.NumCPU(), calm: map[string]calm{}}
	return []experiment.Arm{
		{Name: "wake-ups", Steps: len(d.servers), Run: d.wake},
		{Name: "lock", Steps: 3 * (d.rounds + 1), Run: d.contend},
		{Name: "speed", Steps: len(d.servers) * (d.rounds + 1), Run: d.load},
	}, nil
}

// startAll starts the clients and one server of each kind.
func (d *design) startAll() (err error) {
	b := d.run.Bed
	if d.client, err = Client().Start(b.Program(), d.namespace, "clients", struct{}{}); err != nil {
		return err
	}
	b.OnClose(d.client.Stop)
	d.servers, d.drains = map[string]*server{}, map[string]*server{}
	cores := max(runtime.NumCPU(), 2)
	for _, m := range modes() {
		if d.servers[string(m)], err = d.start(ServerConfig{Mode: m, Threads: d.threads}); err != nil {
			return err
		}
	}
	if d.servers[alone], err = d.start(ServerConfig{Mode: Herd, Threads: 1}); err != nil {
		return err
	}
	for _, c := range []struct {
		name    string
		mode    Mode
		threads int
	}{{sharedQueue, Blocking, cores}, {ownQueues, Own, cores}, {alone, Blocking, 1}} {
		if d.drains[c.name], err = d.start(ServerConfig{Mode: c.mode, Threads: c.threads, Drain: true}); err != nil {
			return err
		}
	}
	return nil
}

// The arrangements of the lock's measurement, beside alone.
const (
	sharedQueue = "shared"
	ownQueues   = "own"
)

// server is a running server.
type server struct {
	*helper.Process
	address netip.AddrPort
	threads []int
}

// start starts a server at a port of its own, and waits until it listens.
func (d *design) start(c ServerConfig) (*server, error) {
	const firstPort = 8000
	port := firstPort + len(d.servers) + len(d.drains)
	c.Address = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
	p, err := Server().Start(d.run.Program, d.namespace, "server "+string(c.Mode), c)
	if err != nil {
		return nil, err
	}
	d.run.Bed.OnClose(p.Stop)
	started, err := helper.Answer[Started](p)
	return &server{p, c.Address, started.Threads}, err
}
