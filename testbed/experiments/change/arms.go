package change

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"lbctl/control/api"
	"lbctl/control/wire"
	"lbctl/lb"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/testbed/cluster"
	"lbctl/testbed/experiment"
	"lbctl/testbed/predict"
	"lbctl/testbed/replica/echo"
	"lbctl/testbed/traffic/dial"
	"lbctl/testbed/traffic/hold"
)

// patience is how long a client waits for an answer: a busy machine is no fault.
const patience = time.Minute

// design implements experiment.Design.
type design struct {
	parameters
	run     *experiment.Run
	cluster *cluster.Cluster
	random  *rand.Rand
	dealer  *dial.Dealer
	nic     *nic.NIC
	// holders hold the connections to the services that change, each those to some of them; visitor those of the other arms.
	holders []*cluster.Holders
	visitor *cluster.Holders

	changing       []*service
	modulo, maglev *service
	evidence       Evidence
}

// Arms implements experiment.Design.
func (d *design) Arms(ctx context.Context, r *experiment.Run) (arms []experiment.Arm, err error) {
	d.run, d.random, d.dealer = r, r.Random(1), dial.NewDealer(r.Random(2), dial.FirstPort, dial.LastPort)
	config, err := nic.Default(d.queues)
	if err != nil {
		return nil, err
	}
	config.Key = d.key
	if d.nic, err = nic.New(config); err != nil {
		return nil, err
	}
	d.changing = changed(d.replicas, func() uint32 { return uint32(d.random.Uint64()) })
	d.modulo = hashing(len(d.changing), d.polarised(), lb.Modulo)
	d.maglev = hashing(len(d.changing)+1, d.polarised(), lb.Maglev)
	d.cluster, err = cluster.New(ctx, r.Bed, cluster.Config{
		Replicas: d.replicas + 1, Clients: d.clients, ReplicaNIC: d.nic, ToeplitzKey: d.key.String(),
	})
	if err != nil {
		return nil, err
	}
	return []experiment.Arm{
		{Name: "set up", Run: d.setUp},
		// First of all, so that no packet of another arm comes late to a queue that has to stay empty.
		{Name: "replicas' NICs: h mod N, one key", Steps: d.polarisation, Run: d.hashed(SameKey, d.modulo, false)},
		{Name: "replicas' NICs: Maglev, one key", Steps: d.polarisation, Run: d.hashed(SameKeyMaglev, d.maglev, false)},
		{Name: "replicas' NICs: h mod N, other keys", Steps: d.polarisation, Run: d.hashed(OtherKeys, d.modulo, true)},
		{Name: "connections are opened", Steps: len(d.changing) * d.connections, Run: d.open},
		{Name: "the number of replicas changes", Steps: len(d.changing) * d.connections, Run: d.change},
	}, nil
}

// apply gives the load balancer all services, as they are before or after the change.
func (d *design) apply(ctx context.Context, at func(*service) lb.Service) error {
	var all []api.Service
	for _, s := range append(slices.Clone(d.changing), d.modulo, d.maglev) {
		all = append(all, wire.NamedService(s.name, at(s)))
	}
	return d.cluster.Apply(ctx, all...)
}

// setUp configures the load balancer and starts replicas and clients.
func (d *design) setUp(ctx context.Context) (err error) {
	if err := d.apply(ctx, func(s *service) lb.Service { return s.before }); err != nil {
		return err
	}
	if d.run.XDP, err = d.cluster.Mode(ctx); err != nil {
		return err
	}
	for i := range d.replicas + 1 {
		var listen []netip.AddrPort
		for number := range ways {
			listen = append(listen, shifted(cluster.ReplicaAddress(i), number))
		}
		if _, err := d.cluster.Echo(ctx, i, echo.Config{Listen: listen}); err != nil {
			return err
		}
	}
	const perProcess = 8000 // connections: many machines allow a process some 20,000 files
	n := 1 + len(d.changing)*d.connections/perProcess
	for range n {
		h, err := d.cluster.Hold(ctx, 0, 1, hold.Config{Seed: d.run.Seed, Timeout: patience})
		if err != nil {
			return err
		}
		d.holders = append(d.holders, h)
	}
	d.visitor, err = d.cluster.Hold(ctx, 0, 1, hold.Config{Seed: d.run.Seed, Timeout: patience})
	return err
}

// order gives every holder an order, and returns their reports as one.
func (d *design) order(of func(i int) hold.Order) (sum hold.Report, err error) {
	for i, h := range d.holders {
		r, err := h.Order(of(i))
		if err != nil {
			return sum, err
		}
		sum.Asked, sum.Lost = append(sum.Asked, r.Asked...), append(sum.Lost, r.Lost...)
		sum.Opened, sum.Refused = append(sum.Opened, r.Opened...), append(sum.Refused, r.Refused...)
	}
	return sum, nil
}

// request asks for connections to a service, from ports that the seed decides.
func (d *design) request(s *service, connections int) hold.OpenRequest {
	return hold.OpenRequest{VIP: s.before.VIP.Address, Count: connections, Sources: cluster.Deal(d.dealer, connections, d.clients)}
}

// open opens the connections to all services that change.
func (d *design) open(context.Context) error {
	report, err := d.order(func(i int) (o hold.Order) {
		for n := i; n < len(d.changing); n += len(d.holders) {
			o.Open = append(o.Open, d.request(d.changing[n], d.connections))
		}
		return o
	})
	if err != nil {
		return err
	}
	for _, s := range d.changing {
		w := Way{Kept: s.kept, How: s.how, Before: s.before, After: s.after, Wanted: d.connections}
		for _, opened := range report.Opened {
			if opened.VIP == s.before.VIP.Address {
				w.Connections = append(w.Connections, Connection{Flow: opened.Flow, At: opened.Replica})
			}
		}
		for _, refused := range report.Refused {
			if refused.VIP == s.before.VIP.Address {
				w.Refused = refused.Err
			}
		}
		d.evidence.Ways = append(d.evidence.Ways, w)
	}
	return nil
}

// change changes the number of replicas of all services, then sends a message on every connection.
func (d *design) change(ctx context.Context) error {
	if err := d.apply(ctx, func(s *service) lb.Service { return s.after }); err != nil {
		return err
	}
	var report hold.Report
	captures, err := d.cluster.Captured(0, d.replicas+1, func() (err error) {
		report, err = d.order(func(int) hold.Order { return hold.Order{Ask: true} })
		return err
	})
	if err != nil {
		return err
	}
	d.evidence.enter(captures, report)
	return nil
}

// hashed opens connections to a service that hashes as NICs do, and looks on which queues of the replicas they come. With
// other keys the NIC of each replica has a key of its own.
func (d *design) hashed(name string, s *service, other bool) func(context.Context) error {
	return func(context.Context) error {
		h := Hashed{Name: name, Service: s.before, Key: d.key}
		for i := range d.polarised() {
			n := d.nic
			if other {
				var err error
				if n, err = predict.WithOtherKey(n, d.random.Uint64); err != nil {
					return err
				}
			}
			if err := d.cluster.ReplicaNIC(i).SetNIC(n); err != nil {
				return err
			}
			h.NICs = append(h.NICs, n)
		}
		before := d.frames()
		captures, err := d.cluster.Captured(0, d.polarised(), func() error {
			report, err := d.visitor.Order(hold.Order{Open: []hold.OpenRequest{d.request(s, d.polarisation)}})
			if err == nil && len(report.Refused) > 0 {
				return fmt.Errorf("open connections: %d refused, the first: %s", len(report.Refused), report.Refused[0].Err)
			}
			return err
		})
		if err != nil {
			return err
		}
		for i, after := range d.frames() {
			for q := range after {
				after[q] -= before[i][q]
			}
			h.Frames = append(h.Frames, after)
			h.Flows = append(h.Flows, arrived(captures[i], s.before.Replicas[i].Address))
		}
		d.evidence.Hashed = append(d.evidence.Hashed, h)
		var places []hold.Place
		for i := range d.polarised() {
			places = append(places, hold.Place{VIP: s.before.VIP.Address, Replica: i})
		}
		_, err = d.visitor.Order(hold.Order{Close: places})
		return err
	}
}

// frames returns the frames that the replicas' NICs have put on their queues so far, by replica and queue.
func (d *design) frames() (all [][]uint64) {
	for i := range d.polarised() {
		var queues []uint64
		for _, q := range d.cluster.ReplicaNIC(i).Stats().Queues {
			queues = append(queues, q.Frames)
		}
		all = append(all, queues)
	}
	return all
}

// arrived returns the flows of a capture to an address.
func arrived(c cluster.Capture, to netip.AddrPort) (flows []packet.Flow) {
	for _, f := range c.Flows {
		if f.Flow.Destination == to && f.Flow.Protocol == packet.TCP {
			flows = append(flows, f.Flow)
		}
	}
	return flows
}

// Conclude implements experiment.Design.
func (d *design) Conclude(r *experiment.Run) error {
	e := d.evidence
	r.Check(e.checks()...)
	r.Control(e.controls(d.random.Uint64)...)
	e.answer(r)
	r.Table(e.tables()...)
	figures, err := e.figures()
	r.Figure(figures...)
	return err
}
