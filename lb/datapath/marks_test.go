package datapath

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// succeed is all of the rule of slots; NONE is a base that is gone.
func TestSucceed(t *testing.T) {
	const x, y, z, gone = 1, 2, 3, 4
	set := listed{x: true, y: true, z: true, gone: false}
	for name, c := range map[string]struct {
		was   bpf.Slot
		owner uint32
		want  bpf.Slot
	}{
		"same owner":                  {bpf.SettledSlot(x), x, bpf.SettledSlot(x)},
		"another owner":               {bpf.SettledSlot(x), y, bpf.TransitionSlot(y, x)},
		"of a replica that is gone":   {bpf.SettledSlot(gone), y, bpf.SettledSlot(y)},
		"marked, another owner":       {bpf.TransitionSlot(y, x), z, bpf.TransitionSlot(z, x)},
		"marked, the base again":      {bpf.TransitionSlot(y, x), x, bpf.TransitionSlot(x, x)},
		"marked, nothing new, aged":   {bpf.TransitionSlot(y, x).WithAge(5), y, bpf.TransitionSlot(y, x)},
		"marked, base gone":           {bpf.TransitionSlot(y, gone), z, bpf.TransitionSlot(z, bpf.ReplicaNone)},
		"marked, base gone for long":  {bpf.TransitionSlot(y, bpf.ReplicaNone), z, bpf.TransitionSlot(z, bpf.ReplicaNone)},
		"marked, owner gone, base is": {bpf.TransitionSlot(gone, x), z, bpf.TransitionSlot(z, x)},
	} {
		if got := succeed(c.was, c.owner, set); got != c.want {
			t.Errorf("%s: %x becomes %x, want %x", name, c.was, got, c.want)
		}
	}
}

// bench is a datapath with one service, and a client.
type bench struct {
	*testing.T
	d       *Datapath
	ingress int
	service lb.Service
}

func newBench(t *testing.T, s lb.Service) bench { return newBenchWith(t, s, Options{still: true}) }

func newBenchWith(t *testing.T, s lb.Service, o Options) bench {
	inNamespace(t)
	l := veth(t, "up", "10.1.0.1/24")
	for _, a := range []string{"10.1.0.2", "10.1.0.3", "10.1.0.4"} {
		neighbourAt(t, l, a)
	}
	o.Limits = lb.Limits{Services: 4, Replicas: 16, Slots: 64, Flows: 1 << 10}
	b := bench{t, open(t, o), l.Attrs().Index, s}
	b.set(s)
	return b
}

func (b bench) set(s lb.Service) {
	b.Helper()
	if err := b.d.SetService(context.Background(), s); err != nil {
		b.Fatal(err)
	}
	if b.d.options.still { // nobody else writes
		consistent(b.T, b.d)
	}
}

func (b bench) wait(by time.Duration) {
	b.Helper()
	if err := b.d.sweep(by); err != nil {
		b.Fatal(err)
	}
}

func (b bench) flow(port uint16) packet.Flow {
	return packet.Flow{Source: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), port), Destination: b.service.VIP.Address, Protocol: packet.TCP}
}

// send sends a packet and returns the replica that it goes to.
func (b bench) send(port uint16, syn bool) netip.Addr {
	b.Helper()
	frame, err := oracle.FrameOf(lb.Probe{Flow: b.flow(port), SYN: syn})
	if err != nil {
		b.Fatal(err)
	}
	v, err := send(b.d.Program(), b.ingress, frame)
	if err != nil || v.Action != oracle.Transmit {
		b.Fatalf("port %d: %v, %v", port, v.Action, err)
	}
	return netip.AddrFrom4([4]byte(v.Frame[30:34]))
}

func (b bench) flows() lb.Flows {
	b.Helper()
	all, err := b.d.Flows()
	if err != nil {
		b.Fatal(err)
	}
	return all[b.service.VIP]
}

// Flows stay where they are through changes that come before the last one has settled, and when
// they are over the service is quiet again, at once in memory and time.
func TestFlowsStay(t *testing.T) {
	three := tracked(web("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80", "10.1.0.4:80"))
	for name, kind := range map[string]func(lb.Service) lb.Service{
		"marked": maglev,
		"moved":  func(s lb.Service) lb.Service { s.TableSize = s.Active(); return s },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, kind(three))
			at := map[uint16]netip.Addr{}
			stay := func(what string) {
				t.Helper()
				for port, replica := range at {
					if got := b.send(port, false); got != replica {
						t.Errorf("%s: port %d is with %v, was with %v", what, port, got, replica)
					}
				}
			}
			begin := func(from, to uint16) {
				for port := from; port < to; port++ {
					at[port] = b.send(port, true)
				}
			}
			begin(1, 40)
			for round, state := range []lb.ReplicaState{lb.Draining, lb.Active, lb.Draining, lb.Active} {
				s := three.Clone()
				s.Replicas[round%3].State = state
				b.set(kind(s))
				stay("after a change")
				begin(uint16(40+40*round), uint16(80+40*round))
				b.wait(time.Second)
				stay("a second later")
			}
			if f := b.flows(); f.InTransition == 0 {
				t.Errorf("flows %+v, want slots marked", f)
			}
			for range 10 {
				stay("while time passes")
				b.wait(time.Second)
			}
			for range 10 {
				b.wait(time.Second)
			}
			e := b.d.services[b.service.VIP]
			if f := b.flows(); f.InTransition > 0 || e.recorded || e.moved() {
				t.Errorf("silent for longer than the idle time: %+v, records %v, moved %v", f, e.recorded, e.moved())
			}
			if err := b.d.RemoveService(t.Context(), b.service.VIP); err != nil {
				t.Fatal(err)
			}
			unused(t, b.d)
		})
	}
}

// A base that a packet uses while its slot is about to be made quiet keeps the slot marked: the
// packet is faster.
func TestBaseUsedMeanwhile(t *testing.T) {
	b := newBench(t, tracked(maglev(web("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80"))))
	s := b.service.Clone()
	s.Replicas[0].State = lb.Draining
	b.set(s)
	e := b.d.services[s.VIP]
	slot := func() (at uint32, is bpf.Slot) {
		for at = e.row.Offset; at < e.row.Offset+e.row.Size; at++ {
			if is = b.d.tables.readSlot(at); is.InTransition() {
				return at, is
			}
		}
		t.Fatal("no slot is marked")
		return 0, 0
	}
	at, is := slot()
	old := is.WithAge(over)
	*b.d.tables.slot(at) = uint64(old)
	*b.d.tables.slot(at) = uint64(old.WithAge(0)) // by a packet, after the sweep has looked
	if b.d.tables.swapSlot(at, old, bpf.SettledSlot(old.Owner())) {
		t.Error("the slot was made quiet under a packet")
	}
	*b.d.tables.slot(at) = uint64(old)
	b.wait(time.Second)
	if now := b.d.tables.readSlot(at); now != bpf.SettledSlot(old.Owner()) {
		t.Errorf("slot %x of which the base is over became %x", old, now)
	}
}

// Records of a replica that has been removed are gone before its id is given to another.
func TestRemovedReplicasAreForgotten(t *testing.T) {
	b := newBench(t, tracked(maglev(web("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80"))))
	s := b.service.Clone()
	s.Tracking = lb.TrackAlways
	b.set(s)
	var with []uint16
	for port := range uint16(60) {
		if b.send(port+1, true) == netip.MustParseAddr("10.1.0.3") {
			with = append(with, port+1)
		}
	}
	id := b.d.services[s.VIP].ids[netip.MustParseAddrPort("10.1.0.3:80")]
	less := s.Clone()
	less.Replicas = less.Replicas[:1]
	b.set(less)
	if row := b.d.tables.replicas.rows[id]; row.State != uint8(bpf.LbReplicaStateREPLICA_GONE) {
		t.Errorf("a replica that has been removed has state %d", row.State)
	}
	if err := b.d.settle(); err != nil {
		t.Fatal(err)
	}
	b.d.tables.records(func(_ recordAt, r bpf.Record) {
		if r.Replica() == id {
			t.Errorf("record %x names %d, which is free", r, id)
		}
	})
	s.Replicas[1].Address = netip.MustParseAddrPort("10.1.0.4:80")
	b.set(s)
	if got := b.d.services[s.VIP].ids[s.Replicas[1].Address]; got != id {
		t.Errorf("the new replica has id %d, want %d again", got, id)
	}
	for _, port := range with {
		if got := b.send(port, false); got != netip.MustParseAddr("10.1.0.2") {
			t.Errorf("a flow of the removed replica goes to %v", got)
		}
	}
}

// Time passes by itself.
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
	t.Error("slots are still marked after hours by the clock")
}
