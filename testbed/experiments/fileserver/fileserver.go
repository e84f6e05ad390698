// Package fileserver is the experiment on a file server that forks a child for each connection: what parallelism that
// gives, what becomes of children that have ended, and what each of the textbook's details is there for, shown by leaving
// it out.
package fileserver

import (
	"context"
	"errors"
	"fmt"
	"sync"
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
		Name: "fileserver", Problem: "7",
		Question: "A file server makes only blocking calls: when does it fork a child, when does it reap it, and who does what?",
		Claim:    "Spawn a child every time a new client connects and accept returns. The parent accepts connections and reaps dead children periodically, say before calling accept; the child does the network read, disk read and network write, with the descriptor that it got by the fork.",
		Method:   "The server forks by clone(2); parent and children make only blocking calls. The disk is a file system (FUSE) whose reads take a known time. Children, zombies and descriptors are counted in /proc, connections in /proc/PID/net/tcp, when every process of the server sleeps and no read is outstanding. Each arm leaves one detail out. Go programs cannot fork, since a copy of a process has only the thread that called and Go's runtime needs its others: so the child of this server never enters the runtime; it makes raw system calls and ends.",
		Needs:    experiment.Needs{Time: 40 * time.Second, Quick: 14 * time.Second},
		Rig:      "loopback",
		Checks: []experiment.Statement{
			{Name: ServedAtOnce, Text: "with a child for each, all clients have an answer while all stay connected"},
			{Name: Speedup, Text: "K slow clients take a serial server about K times as long"},
			{Name: ZombiesStay, Text: "children that are never waited for stay as zombies, each of them"},
			{Name: ReapedByNext, Text: "reaped before accept, they stay until the next client comes, and are gone then"},
			{Name: ReapedByHandler, Text: "reaped in a handler of SIGCHLD, none stays"},
			{Name: ReapedByKernel, Text: "with SIGCHLD ignored, none stays either: the kernel reaps"},
			{Name: DescriptorsConstant, Text: "the parent has no more descriptors after all clients than before"},
			{Name: EndSeen, Text: "every client sees the end of file when its child has ended"},
		},
		Controls: []experiment.Statement{
			{Name: OneByOne, Text: "a server without children serves the clients"},
			{Name: ReapedAnyway, Text: "the check that zombies stay is asked where SIGCHLD is ignored"},
			{Name: NobodyWaits, Text: "the checks of reaping are asked where nobody waits for children"},
			{Name: ForgottenClose, Text: "the parent forgets to close the connections that its children have"},
			{Name: SerialAlone, Text: "the serial server is compared with itself, a round later"},
		},
		Predictions: []experiment.Prediction{
			{Name: "speedup", Unit: "times", Factor: 1.4, Question: "K slow clients come at once (K is the parameter clients). How many times as long as a server that forks does a server need for all of them that handles one after the other?"},
			{Name: "zombies-never-reaped", Unit: "zombies", Question: "The server never waits for its children. K clients have come and gone. How many zombies has it?"},
			{Name: "zombies-before-accept", Unit: "zombies", Question: "The server reaps before each call of accept. K clients were connected at the same time and all have gone; nobody else comes. How many zombies has it?"},
			{Name: "end-seen-after-forgotten-close", Kind: experiment.YesNo, Question: "After the fork the parent forgets to close its descriptor of the connection. The client has nothing more to ask and the child has ended. Does the client see the end of file?"},
		},
		Design: func() experiment.Design { return &design{} },
	}
}

// design implements experiment.Design.
type design struct {
	clients, files, count int
	read, think           time.Duration

	host  *netns.Namespace
	disk  *disk.Disk
	ports int
	held  map[string]Held
	races *measure.Rounds[Race]
}

// Parameters implements experiment.Design.
func (d *design) Parameters(p *experiment.Parameters) {
	p.Int(&d.clients, "clients", experiment.Ints{Low: 4, High: 32, Default: 8, Quick: 6}, "how many clients come at once, K")
	p.Int(&d.files, "files", experiment.Ints{Low: 1, High: 100, Default: 2}, "how many files a client asks for")
	p.Int(&d.count, "rounds", experiment.Ints{Low: 15, High: 1000, Default: 20, Quick: 15, Full: 100}, "how many rounds the times are taken in")
	p.Duration(&d.read, "read", experiment.Durations{Low: time.Millisecond, High: time.Second, Default: 20 * time.Millisecond, Quick: 12 * time.Millisecond, Full: 40 * time.Millisecond}, "how long the disk takes for a file")
	p.Duration(&d.think, "think", experiment.Durations{Low: time.Millisecond, High: time.Second, Default: 20 * time.Millisecond, Quick: 12 * time.Millisecond, Full: 40 * time.Millisecond}, "how long a client waits after a file")
}

// The servers that clients stay connected to.
const (
	serial       = "serial"
	never        = "never reaped"
	beforeAccept = "reaped before accept"
	handler      = "reaped in a handler"
	ignored      = "SIGCHLD ignored"
	forgetful    = "the close forgotten"
)

// servers are in the order of the report.
var servers = []struct {
	name   string
	config serverConfig
}{
	{serial, serverConfig{Serial: true, Reaping: Never}},
	{never, serverConfig{Reaping: Never}},
	{beforeAccept, serverConfig{Reaping: BeforeAccept}},
	{handler, serverConfig{Reaping: Handler}},
	{ignored, serverConfig{Reaping: Ignored}},
	{forgetful, serverConfig{Reaping: Handler, Forgets: true}},
}

// Arms implements experiment.Design.
func (d *design) Arms(_ context.Context, r *experiment.Run) (arms []experiment.Arm, err error) {
	r.XDP, d.held = "not used", map[string]Held{}
	if d.host, err = r.Bed.Namespace("host"); err != nil {
		return nil, err
	}
	if d.disk, err = disk.New(); err != nil {
		return nil, err
	}
	r.Bed.Closing(d.disk)
	for _, s := range servers {
		running, err := d.start(r, s.name, s.config)
		if err != nil {
			return nil, err
		}
		arms = append(arms, experiment.Arm{Name: s.name, Steps: 1, Run: func(ctx context.Context) (err error) {
			d.held[s.name], err = d.hold(ctx, running)
			return err
		}})
	}
	one, err := d.start(r, "serial race", serverConfig{Serial: true, Reaping: Never})
	if err != nil {
		return nil, err
	}
	many, err := d.start(r, "forked race", serverConfig{Reaping: Handler})
	if err != nil {
		return nil, err
	}
	return append(arms, experiment.Arm{Name: "times", Steps: d.count, Run: func(ctx context.Context) error {
		return d.times(ctx, r, one, many)
	}}), nil
}

// start starts a server in a family of its own: its children end with it.
func (d *design) start(r *experiment.Run, name string, c serverConfig) (*server, error) {
	c.Port, c.Disk = 8000+d.ports, d.disk.Path("")
	d.ports++
	p, err := Helper().StartFamily(r.Program, d.host, name, c)
	if err != nil {
		return nil, err
	}
	r.Bed.OnClose(p.End)
	return &server{serverConfig: c, process: p, in: d.host}, nil
}

// Race is how long clients took that came at once.
type Race struct {
	// Took is from the first one's connection to the last one's end of file.
	Took time.Duration
	// First and End are when each of them had its first file, and the end of file, after the beginning.
	First, End []time.Duration
}

// The arms of the rounds.
const (
	alone      = "one client"
	serialHalf = "serial, half of the clients"
	serialAll  = "serial"
	forkedHalf = "forked, half of the clients"
	forkedAll  = "forked"
)

// times takes the times of races in rounds.
func (d *design) times(ctx context.Context, r *experiment.Run, one, many *server) (err error) {
	if err := errors.Join(one.process.Await(helper.Ready), many.process.Await(helper.Ready)); err != nil {
		return err
	}
	arm := func(name string, s *server, clients int) measure.Arm[Race] {
		return measure.Arm[Race]{Name: name, Run: func(ctx context.Context, _ measure.Turn) (Race, error) { return d.race(ctx, s, clients) }}
	}
	plan := measure.Plan{Seed: r.Seed, Rounds: d.count, Warmup: 1, Progress: func(t measure.Turn) { r.At(min(max(t.Round, 0), d.count)) }}
	d.races, err = measure.Run(ctx, plan, arm(alone, one, 1), arm(serialHalf, one, d.clients/2), arm(serialAll, one, d.clients),
		arm(forkedHalf, many, d.clients/2), arm(forkedAll, many, d.clients))
	return err
}

// race lets clients come at once, each with all its requests.
func (d *design) race(ctx context.Context, s *server, clients int) (Race, error) {
	run := Race{First: make([]time.Duration, clients), End: make([]time.Duration, clients)}
	failed := make([]error, clients)
	var all sync.WaitGroup
	began := time.Now()
	for i := range clients {
		all.Go(func() { failed[i] = d.customer(ctx, s, began, &run.First[i], &run.End[i]) })
	}
	all.Wait()
	run.Took = time.Since(began)
	if err := errors.Join(failed...); err != nil {
		return run, fmt.Errorf("%d clients: %w", clients, err)
	}
	return run, nil
}

// customer is one client of a race.
func (d *design) customer(ctx context.Context, s *server, began time.Time, first, end *time.Duration) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.connection.Close()
	defer context.AfterFunc(ctx, func() { _ = c.connection.Close() })()
	for i := range d.files {
		if err := c.ask(disk.File(d.read)); err != nil {
			return err
		}
		if i == 0 {
			*first = time.Since(began)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d.think):
		}
	}
	err = c.finish()
	*end = time.Since(began)
	return err
}

// nominal is how long one client takes on a machine that does nothing else.
func (d *design) nominal() time.Duration { return time.Duration(d.files) * (d.read + d.think) }

// Conclude implements experiment.Design.
func (d *design) Conclude(r *experiment.Run) error {
	e := evidence{clients: d.clients, nominal: d.nominal(), held: d.held, races: d.races}
	r.Noise = measure.Describe(d.races.Noise())
	checks := e.checks()
	r.Check(checks...)
	r.Control(e.controls()...)
	e.answer(r)
	r.Table(claims(checks), e.heldTable(), e.timeTable())
	figures, err := e.figures()
	r.Figure(figures...)
	return err
}
