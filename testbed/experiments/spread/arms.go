package spread

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"lbctl/control/api"
	"lbctl/control/wire"
	"lbctl/lb"
	"lbctl/testbed/cluster"
	"lbctl/testbed/experiment"
	"lbctl/testbed/predict"
	"lbctl/testbed/report"
	"lbctl/testbed/traffic"
)

// patience is how long a client waits for an answer: a busy machine is no fault.
const patience = time.Minute

// perControl is the number of requests on each connection of a control.
const perControl = 4

// design implements experiment.Design.
type design struct {
	parameters
	run     *experiment.Run
	cluster *cluster.Cluster
	model   predict.Model
	random  *rand.Rand

	main, hot, single Evidence
	// rewritten and removed are the arms of the controls of these names.
	rewritten, removed Evidence
	// rows are a line of the report for each arm with traffic.
	rows     [][]any
	followed *api.Explanation
}

// Arms implements experiment.Design.
func (d *design) Arms(ctx context.Context, r *experiment.Run) (arms []experiment.Arm, err error) {
	d.run, d.random = r, r.Random(1)
	if d.model, err = d.parameters.model(uint32(r.Random(2).Uint64())); err != nil {
		return nil, err
	}
	d.cluster, err = cluster.New(ctx, r.Bed, cluster.Config{
		Replicas: d.replicas, Clients: d.clients, MTU: d.mtu, NIC: d.model.NIC, ToeplitzKey: d.key.String(),
	})
	if err != nil {
		return nil, err
	}
	if err := d.configure(ctx, d.model.Service); err != nil {
		return nil, err
	}
	if r.XDP, err = d.cluster.Mode(ctx); err != nil {
		return nil, err
	}
	small := d.controlConnections * perControl
	return []experiment.Arm{
		{Name: "clients send requests", Steps: d.requests, Run: d.runMain},
		{Name: "some objects are hot", Steps: small, Run: d.runHot},
		{Name: "controls: " + AnotherKey + ", " + AnotherHash, Run: d.guessKeyAndHash},
		{Name: "control: " + TableRewritten, Steps: small, Run: d.runTable},
		{Name: "control: " + OneConnection, Steps: d.objects, Run: d.runSingle},
		{Name: "control: " + Spray, Steps: small, Run: d.runSpray},
		{Name: "control: " + WrongBytes, Steps: small, Run: d.runWrong},
		{Name: "control: " + ReplicaRemoved, Steps: small, Run: d.runRemoval},
	}, nil
}

// configure gives the load balancer a service.
func (d *design) configure(ctx context.Context, s lb.Service) error {
	return d.cluster.Apply(ctx, wire.NamedService("web", s))
}

// arm runs an arm with traffic and returns its evidence.
func (d *design) arm(ctx context.Context, a cluster.Arm) (Evidence, error) {
	a.Traffic.Concurrency, a.Traffic.Timeout = d.concurrency, patience
	a.Traffic.Seed = d.random.Uint64()
	a.Traffic.Popularity = d.popularity
	a.Progress = d.run.At
	record, err := d.cluster.Run(ctx, a)
	if err != nil {
		return Evidence{}, err
	}
	wanted, seconds := a.Traffic.Total(), record.Took.Seconds()
	d.rows = append(d.rows, []any{a.Name, a.Traffic.Connections, wanted, record.Seen, record.Dropped, record.LinkDropped,
		math.Round(seconds*100) / 100, math.Round(float64(wanted) / seconds)})
	return Evidence{
		Record: record, VIP: d.model.Service.VIP.Address, Replicas: d.model.Addresses(), Objects: d.objects, Wanted: wanted,
	}, nil
}

// small is the traffic of a control.
func (d *design) small() traffic.Config {
	return traffic.Config{
		Connections: d.controlConnections, RequestsPerConnection: perControl,
		Site: d.site(d.run.Seed, d.controlMaxSize),
	}
}

// runMain is the experiment itself.
func (d *design) runMain(ctx context.Context) (err error) {
	d.main, err = d.arm(ctx, cluster.Arm{Name: "main", Traffic: traffic.Config{
		Connections: d.connections, RequestsPerConnection: d.requests / d.connections,
		Site: d.site(d.run.Seed, d.maxSize),
	}})
	if err != nil {
		return err
	}
	return d.explain(ctx)
}

// runHot requests objects by Zipf's law.
func (d *design) runHot(ctx context.Context) (err error) {
	before := d.popularity
	d.popularity = zipf
	defer func() { d.popularity = before }()
	d.hot, err = d.arm(ctx, cluster.Arm{Name: "hot", Traffic: d.small()})
	return err
}

// explain asks the daemon to explain the connection that the report follows.
func (d *design) explain(ctx context.Context) (err error) {
	if c := newTally(d.main).followed(); c != nil {
		d.followed, err = d.cluster.Explain(ctx, c.flow)
	}
	return err
}

// guessKeyAndHash holds the main arm's evidence against wrong models: no traffic is needed.
func (d *design) guessKeyAndHash(context.Context) error {
	n, err := predict.WithOtherKey(d.model.NIC, d.random.Uint64)
	if err != nil {
		return err
	}
	service := d.model.Service.Clone()
	service.Seed ^= uint32(1 + d.random.IntN(1<<31))
	d.run.Control(
		anotherKey(d.main, predict.New(n, d.model.Service, d.model.Key)),
		anotherHash(d.main, predict.New(d.model.NIC, service, predict.OtherKey(d.model.Key, d.random.Uint64))))
	return nil
}

// control runs an arm with traffic and enters the control that conclude makes of it.
func (d *design) control(ctx context.Context, a cluster.Arm, conclude func(Evidence) report.Check) error {
	e, err := d.arm(ctx, a)
	if err == nil {
		d.run.Control(conclude(e))
	}
	return err
}

// runTable rewrites the indirection table while all connections are open.
func (d *design) runTable(ctx context.Context) error {
	old := d.model.NIC.Config().Table
	table := predict.Rewritten(old)
	a := cluster.Arm{Name: TableRewritten, Traffic: d.small()}
	a.Traffic.Barrier = true
	a.Half = func(context.Context) error { return d.cluster.NIC().SetTable(table) }
	after := d.model
	after.NIC = d.model.NIC.WithTable(table)
	err := d.control(ctx, a, func(e Evidence) report.Check {
		d.rewritten = e
		return tableRewritten(e, d.model, after)
	})
	if err != nil {
		return err
	}
	return d.cluster.NIC().SetTable(old)
}

// runSingle requests every object over one connection.
func (d *design) runSingle(ctx context.Context) error {
	a := cluster.Arm{Name: OneConnection, Traffic: d.small()}
	a.Traffic.Connections, a.Traffic.AllObjects = 1, true
	return d.control(ctx, a, func(e Evidence) report.Check {
		d.single = e
		return oneConnection(e, d.model)
	})
}

// runSpray makes the NIC give each packet to the next queue.
func (d *design) runSpray(ctx context.Context) error {
	d.cluster.NIC().SetSpray(true)
	defer d.cluster.NIC().SetSpray(false)
	return d.control(ctx, cluster.Arm{Name: Spray, Traffic: d.small()}, spray)
}

// runWrong makes the first replica serve four objects with one byte changed: of one alone it might by
// chance serve none.
func (d *design) runWrong(ctx context.Context) error {
	const at = 0
	objects := []int{0, 1, 2, 3}[:min(4, d.objects)]
	a := cluster.Arm{Name: WrongBytes, Traffic: d.small(), Wrong: map[int][]int{at: objects}}
	return d.control(ctx, a, func(e Evidence) report.Check { return wrongBytes(e, at, objects...) })
}

// runRemoval removes the last replica while all connections are open, from a service that does not
// remember flows: the bare table moves them. It is the last arm: the service stays as it is then.
func (d *design) runRemoval(ctx context.Context) error {
	after := d.model.With(d.model.Service.Scheduler, len(d.model.Service.Replicas)-1)
	after.Service.Tracking, after.Service.Idle = lb.Stateless, 0
	a := cluster.Arm{Name: ReplicaRemoved, Traffic: d.small()}
	a.Traffic.Barrier = true
	a.Half = func(ctx context.Context) error { return d.configure(ctx, after.Service) }
	return d.control(ctx, a, func(e Evidence) report.Check {
		d.removed = e
		return replicaRemoved(e, d.model, after)
	})
}

// Conclude implements experiment.Design.
func (d *design) Conclude(r *experiment.Run) error {
	checks, hot := Checks(d.main, d.model), newTally(d.hot)
	r.Check(checks...)
	r.Check(hot.hotSpread(d.model.ReplicaShares()))
	answer(r, d.main, d.hot, d.rewritten, d.removed)
	r.Table(Tables(d.main, checks, d.model)...)
	r.Table(hotTable(d.popularity, newTally(d.main), hot), newTally(d.main).oneObject(d.model))
	r.Table(report.Table{
		Name:    "arms",
		Columns: []string{"arm", "connections", "requests", "packets", "dropped by NIC", "by links", "seconds", "requests/s"},
		Rows:    d.rows,
	})
	if t, ok := d.hopTable(); ok {
		r.Table(t)
	}
	figures, err := Figures(d.main, d.single, d.model)
	r.Figure(figures...)
	return err
}
