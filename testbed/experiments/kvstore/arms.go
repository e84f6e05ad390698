package kvstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"lbctl/control/api"
	"lbctl/control/wire"
	"lbctl/lb"
	"lbctl/testbed/cluster"
	"lbctl/testbed/experiment"
	"lbctl/testbed/helper"
	"lbctl/testbed/journal"
	"lbctl/testbed/kv"
	"lbctl/testbed/predict"
	"lbctl/testbed/traffic/dial"
)

// design implements experiment.Design.
type design struct {
	parameters
	run       *experiment.Run
	cluster   *cluster.Cluster
	memcached string
	model     predict.Model
	random    *rand.Rand
	ports     ports
	dealer    *dial.Dealer
	evidence  map[string]Evidence
	explained *api.Explanation
}

// arm is one set-up: who chooses the clients' ports, and how the stores give connections to threads.
type arm struct {
	name string
	// ports is the model by which the clients choose their ports, nil if chance does.
	ports *predict.Model
	// perCore, wrong: see kv.Config. memcached is its number of threads, 0 for our store.
	perCore   bool
	wrong     []int
	memcached int
	// half is called while all connections are open and silent.
	half func() error
}

// Names of the arms.
const (
	inTurn         = "any port, threads in turn"
	ofMemcached    = "any port, memcached"
	perCore        = "any port, thread of the core"
	wayOut         = "port by key, thread of the core"
	byKeyInTurn    = "port by key, threads in turn"
	byAnotherKey   = "port by another RSS key"
	rewrittenTable = "table rewritten"
	sprayed        = "packets sprayed"
	ofOneThread    = "memcached with one thread"
	wrongByte      = "a byte changed"
)

// Arms implements experiment.Design.
func (d *design) Arms(ctx context.Context, r *experiment.Run) (arms []experiment.Arm, err error) {
	d.run, d.evidence = r, map[string]Evidence{}
	d.choose(r.Random(1))
	if d.memcached, err = d.findMemcached(ctx); err != nil {
		return nil, err
	}
	if d.model, err = d.parameters.model(uint32(r.Random(2).Uint64())); err != nil {
		return nil, err
	}
	d.cluster, err = cluster.New(ctx, r.Bed, cluster.Config{
		Replicas: d.stores, Clients: d.clients, NIC: d.model.NIC, Multicore: true,
	})
	if err != nil {
		return nil, err
	}
	if n := len(d.cluster.Cores()); n < 2 {
		return nil, fmt.Errorf("kvstore: %w: this process may use %d core: want at least 2, to tell cores apart", lb.ErrUnsupported, n)
	}
	if err := d.cluster.Apply(ctx, wire.NamedService("store", d.model.Service)); err != nil {
		return nil, err
	}
	if r.XDP, err = d.cluster.Mode(ctx); err != nil {
		return nil, err
	}
	table := d.model.NIC.Config().Table
	other, err := d.guessedKey()
	if err != nil {
		return nil, err
	}
	spray := func(on bool) func() error { return func() error { d.cluster.NIC().SetSpray(on); return nil } }
	retable := func() error { return d.cluster.NIC().SetTable(predict.Rewritten(table)) }
	back := func() error { return d.cluster.NIC().SetTable(table) }
	for _, a := range []struct {
		arm
		before, after func() error
	}{
		{arm: arm{name: inTurn}, after: func() error { return d.explain(ctx) }},
		{arm: arm{name: ofMemcached, memcached: d.threads}},
		{arm: arm{name: perCore, perCore: true}},
		{arm: arm{name: wayOut, perCore: true, ports: &d.model}},
		{arm: arm{name: byKeyInTurn, ports: &d.model}},
		{arm: arm{name: byAnotherKey, perCore: true, ports: &other}},
		{arm: arm{name: rewrittenTable, half: retable}, after: back},
		{arm: arm{name: sprayed}, before: spray(true), after: spray(false)},
		{arm: arm{name: ofOneThread, memcached: 1}},
		{arm: arm{name: wrongByte, wrong: []int{0}}},
	} {
		arms = append(arms, experiment.Arm{Name: a.name, Steps: 1, Run: func(ctx context.Context) error {
			return inOrder(a.before, func() error { return d.do(ctx, a.arm) }, a.after)
		}})
	}
	return arms, nil
}

// choose sets what decides everything that is chosen at random.
func (d *design) choose(random *rand.Rand) {
	d.random, d.ports, d.dealer = random, ports{}, dial.NewDealer(random, lastPort+1, highestPort)
}

// inOrder calls functions until one fails; nil ones are left out.
func inOrder(all ...func() error) error {
	for _, f := range all {
		if f == nil {
			continue
		}
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// guessedKey returns the model of clients that have a wrong idea of the NIC's RSS key.
func (d *design) guessedKey() (predict.Model, error) {
	n, err := predict.WithOtherKey(d.model.NIC, d.random.Uint64)
	if err != nil {
		return predict.Model{}, err
	}
	return predict.New(n, d.model.Service, d.model.Key), nil
}

// do runs an arm and keeps its evidence.
func (d *design) do(ctx context.Context, a arm) (err error) {
	e := Evidence{VIP: d.model.Service.VIP.Address, Stores: d.model.Addresses(), Plan: d.plan(d.random.Uint64(), 1), Memcached: a.memcached > 0}
	sources := cluster.Deal(d.dealer, d.connections, d.clients)
	if a.ports != nil {
		e.Plan.Classes = d.classes()
		if sources, err = d.ports.byClass(d.connections, d.clients, d.queues, *a.ports); err != nil {
			return err
		}
	}
	s, err := d.start(ctx, a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	clients := kv.Clients{
		VIP: e.VIP, Sources: sources, Plan: e.Plan, Values: d.run.Seed, Concurrency: d.atOnce, Timeout: within,
		Log: d.file("clients"),
	}
	e.Sighting, err = d.cluster.Watch(ctx, d.connections, func(ctx context.Context) error {
		if err := d.request(ctx, clients, func() (err error) {
			if e.Memcached {
				e.Threads, err = threadsOf(ctx, s.processes)
			}
			return inOrder(func() error { return err }, a.half)
		}); err != nil {
			return err
		}
		return s.stop()
	})
	if err != nil {
		return err
	}
	if e.Served, err = s.served(); err != nil {
		return err
	}
	e.Requests, err = journal.Read[kv.Request](clients.Log)
	d.evidence[a.name] = e
	return err
}

// request runs the clients, and calls half while they are silent.
func (d *design) request(ctx context.Context, c kv.Clients, half func() error) error {
	p, err := cluster.Start(ctx, d.cluster, kv.Client(), d.cluster.Clients(), "clients", c)
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return p.Await(kv.Half) }, half, func() error { return p.Tell([]byte("go")) },
	} {
		if err := step(); err != nil {
			return errors.Join(ctx.Err(), err, p.Stop())
		}
	}
	return errors.Join(p.Wait(), ctx.Err())
}

// explain asks the daemon to explain the connection that the report follows.
func (d *design) explain(ctx context.Context) (err error) {
	if c := newTally(d.evidence[inTurn]).followed(); c != nil {
		d.explained, err = d.cluster.Explain(ctx, c.flow)
	}
	return err
}

// Conclude implements experiment.Design.
func (d *design) Conclude(r *experiment.Run) error {
	checks := Checks(d.evidence, d.model)
	r.Check(checks...)
	r.Control(Controls(d.evidence, d.model)...)
	answer(r, d.evidence)
	r.Table(Tables(d.evidence, checks, d.model, d.explained)...)
	figures, err := Figures(d.evidence, d.model)
	r.Figure(figures...)
	return err
}

// file returns the path of a log of the arm that is running.
func (d *design) file(what string) string {
	return d.run.Bed.Path(fmt.Sprintf("%02d-%s.jsonl", len(d.evidence), what))
}

// threadsOf returns the thread of every connection of several memcacheds.
func threadsOf(ctx context.Context, processes []*helper.Process) (all []map[netip.AddrPort]int, err error) {
	for _, p := range processes {
		var threads map[netip.AddrPort]int
		err := helper.Until(ctx, within, "the threads of memcached", func() (err error) {
			threads, err = kv.Threads(p.PID())
			return err
		}, p.Over)
		if err != nil {
			return nil, err
		}
		all = append(all, threads)
	}
	return all, nil
}
