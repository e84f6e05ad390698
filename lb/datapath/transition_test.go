package datapath

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/lb/tables"
	"lbctl/lb/testns"
	"lbctl/rss/packet"
)

// The rule of what becomes of a slot when its owner changes, all cases of it.
func TestInheritSlot(t *testing.T) {
	const below, x, y, z, gone = 3, 4, 5, 7, 6
	set := list([]uint32{z, x, y})
	for name, c := range map[string]struct {
		was   bpf.Slot
		owner uint32
		want  bpf.Slot
	}{
		"same owner":                                {bpf.SettledSlot(x), x, bpf.SettledSlot(x)},
		"another owner":                             {bpf.SettledSlot(x), y, bpf.TransitionSlot(y, x)},
		"of a replica that is gone, below":          {bpf.SettledSlot(below), y, bpf.SettledSlot(y)},
		"of a replica that is gone":                 {bpf.SettledSlot(gone), y, bpf.SettledSlot(y)},
		"in transition, another owner":              {bpf.TransitionSlot(y, x), z, bpf.TransitionSlot(z, x)},
		"in transition, the previous owner again":   {bpf.TransitionSlot(y, x), x, bpf.TransitionSlot(x, x)},
		"in transition, same owner, aged":           {bpf.TransitionSlot(y, x).WithAge(5), y, bpf.TransitionSlot(y, x)},
		"in transition, previous owner gone":        {bpf.TransitionSlot(y, gone), z, bpf.TransitionSlot(z, bpf.ReplicaNone)},
		"in transition, previous owner none":        {bpf.TransitionSlot(y, bpf.ReplicaNone), z, bpf.TransitionSlot(z, bpf.ReplicaNone)},
		"in transition, owner gone, previous stays": {bpf.TransitionSlot(gone, x), z, bpf.TransitionSlot(z, x)},
	} {
		if got := inheritSlot(c.was, c.owner, set); got != c.want {
			t.Errorf("%s: %x becomes %x, want %x", name, c.was, got, c.want)
		}
	}
}

// fixture is a datapath with one service, and a client.
type fixture struct {
	*testing.T
	d       *Datapath
	ingress int
	service lb.Service
}

func newFixture(t *testing.T, s lb.Service) fixture {
	return newFixtureWith(t, s, Options{manualClock: true})
}

func newFixtureWith(t *testing.T, s lb.Service, o Options) fixture {
	inNamespace(t)
	l := testns.Veth(t, "up", "10.1.0.1/24")
	for _, a := range []string{"10.1.0.2", "10.1.0.3", "10.1.0.4"} {
		testns.Neighbour(t, l, a)
	}
	o.Limits = lb.Limits{Services: 4, Replicas: 16, Slots: 64, Flows: 1 << 10}
	x := fixture{t, open(t, o), l.Attrs().Index, s}
	x.set(s)
	return x
}

func (x fixture) set(s lb.Service) {
	x.Helper()
	if err := x.d.SetService(context.Background(), s); err != nil {
		x.Fatal(err)
	}
	if x.d.options.manualClock { // nobody else writes
		consistent(x.T, x.d)
	}
}

func (x fixture) wait(by time.Duration) {
	x.Helper()
	if err := x.d.sweep(by); err != nil {
		x.Fatal(err)
	}
}

func (x fixture) flow(port uint16) packet.Flow {
	return packet.Flow{Source: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), port), Destination: x.service.VIP.Address, Protocol: packet.TCP}
}

// send sends a packet and returns the replica that it goes to.
func (x fixture) send(port uint16, syn bool) netip.Addr {
	x.Helper()
	frame, err := oracle.FrameOf(lb.Probe{Flow: x.flow(port), SYN: syn})
	if err != nil {
		x.Fatal(err)
	}
	v, err := send(x.d.Program(), x.ingress, frame)
	if err != nil || v.Action != oracle.Transmit {
		x.Fatalf("port %d: %v, %v", port, v.Action, err)
	}
	return netip.AddrFrom4([4]byte(v.Frame[30:34]))
}

func (x fixture) flows() lb.Flows {
	x.Helper()
	all, err := x.d.Flows()
	if err != nil {
		x.Fatal(err)
	}
	return all[x.service.VIP]
}

// Flows stay with their replica through changes that come while slots are still in transition. When the flows
// have ended, the service is settled again and nothing is recorded of it.
func TestFlowsStay(t *testing.T) {
	three := tracked(web("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80", "10.1.0.4:80"))
	for name, kind := range map[string]func(lb.Service) lb.Service{
		"same slots": maglev,
		"rehashed":   func(s lb.Service) lb.Service { s.TableSize = s.Active(); return s },
	} {
		t.Run(name, func(t *testing.T) {
			x := newFixture(t, kind(three))
			at := map[uint16]netip.Addr{}
			stay := func(what string) {
				t.Helper()
				for port, replica := range at {
					if got := x.send(port, false); got != replica {
						t.Errorf("%s: port %d is with %v, was with %v", what, port, got, replica)
					}
				}
			}
			begin := func(from, to uint16) {
				for port := from; port < to; port++ {
					at[port] = x.send(port, true)
				}
			}
			begin(1, 40)
			for round, state := range []lb.ReplicaState{lb.Draining, lb.Active, lb.Draining, lb.Active} {
				s := three.Clone()
				s.Replicas[round%3].State = state
				x.set(kind(s))
				stay("after a change")
				begin(uint16(40+40*round), uint16(80+40*round))
				x.wait(time.Second)
				stay("a second later")
			}
			if f := x.flows(); f.InTransition == 0 {
				t.Errorf("flows %+v, want slots in transition", f)
			}
			for range 10 {
				stay("while time passes")
				x.wait(time.Second)
			}
			for range 10 {
				x.wait(time.Second)
			}
			e := x.d.registry.services[x.service.VIP]
			if f := x.flows(); f.InTransition > 0 || e.recorded || e.rehashed() {
				t.Errorf("silent for longer than the idle time: %+v, records %v, rehashed %v", f, e.recorded, e.rehashed())
			}
			if err := x.d.RemoveService(t.Context(), x.service.VIP); err != nil {
				t.Fatal(err)
			}
			unused(t, x.d)
		})
	}
}

// A slot that is about to be settled stays in transition if a packet uses its previous owner at that moment.
func TestBaseUsedMeanwhile(t *testing.T) {
	x := newFixture(t, tracked(maglev(web("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80"))))
	s := x.service.Clone()
	s.Replicas[0].State = lb.Draining
	x.set(s)
	e := x.d.registry.services[s.VIP]
	slot := func() (at uint32, is bpf.Slot) {
		for at = e.row.Offset; at < e.row.Offset+e.row.Size; at++ {
			if is = x.d.registry.tables.Slot(at); is.InTransition() {
				return at, is
			}
		}
		t.Fatal("no slot is in transition")
		return 0, 0
	}
	at, is := slot()
	old := is.WithAge(expired)
	x.d.registry.tables.SetSlot(at, old, e.row.FirstReplica)
	x.d.registry.tables.SetSlot(at, old.WithAge(0), e.row.FirstReplica) // by a packet, after the sweep has read the slot
	if x.d.registry.tables.SwapSlot(at, old, bpf.SettledSlot(old.Owner()), e.row.FirstReplica) {
		t.Error("the slot was settled while a packet used its previous owner")
	}
	x.d.registry.tables.SetSlot(at, old, e.row.FirstReplica)
	x.wait(time.Second)
	if now := x.d.registry.tables.Slot(at); now != bpf.SettledSlot(old.Owner()) {
		t.Errorf("slot %x whose previous owner has expired became %x", old, now)
	}
}

// The records of a removed replica are gone before its id is given to another one.
func TestRemovedReplicasAreForgotten(t *testing.T) {
	x := newFixture(t, tracked(maglev(web("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80"))))
	s := x.service.Clone()
	s.Tracking = lb.TrackAlways
	x.set(s)
	var with []uint16
	for port := range uint16(60) {
		if x.send(port+1, true) == netip.MustParseAddr("10.1.0.3") {
			with = append(with, port+1)
		}
	}
	id := x.d.registry.services[s.VIP].ids[netip.MustParseAddrPort("10.1.0.3:80")]
	less := s.Clone()
	less.Replicas = less.Replicas[:1]
	x.set(less)
	if row := *x.d.registry.tables.Replicas.Row(id); row.State != uint8(bpf.LbReplicaStateREPLICA_GONE) {
		t.Errorf("a replica that has been removed has state %d", row.State)
	}
	if err := x.d.registry.reclaim(); err != nil {
		t.Fatal(err)
	}
	x.d.registry.tables.Records(func(_ tables.Record, r bpf.Record) {
		if r.Replica() == id {
			t.Errorf("record %x names %d, which is free", r, id)
		}
	})
	s.Replicas[1].Address = netip.MustParseAddrPort("10.1.0.4:80")
	x.set(s)
	if got := x.d.registry.services[s.VIP].ids[s.Replicas[1].Address]; got != id {
		t.Errorf("the new replica has id %d, want %d again", got, id)
	}
	for _, port := range with {
		if got := x.send(port, false); got != netip.MustParseAddr("10.1.0.2") {
			t.Errorf("a flow of the removed replica goes to %v", got)
		}
	}
}

// The sweeper lets time pass by the clock.
func TestSweeper(t *testing.T) {
	inNamespace(t)
	var at time.Time
	d := open(t, Options{now: func() time.Time { at = at.Add(time.Hour); return at }})
	s := tracked(maglev(web("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80")))
	if err := d.SetService(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	s = s.Clone()
	s.Replicas[0].State = lb.Draining
	if err := d.SetService(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		all, err := d.Flows()
		if err != nil {
			t.Fatal(err)
		}
		if all[s.VIP].InTransition == 0 {
			return
		}
	}
	t.Error("slots are still in transition after hours by the clock")
}
