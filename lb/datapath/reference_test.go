package datapath

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/oracle"
	"lbctl/lb/testns"
	"lbctl/rss/packet"

	"github.com/google/go-cmp/cmp"
)

// Kernel and reference record the same of flows: after random changes of few services, packets of few flows,
// and time. The packets have the same verdict and the same explanation.
func TestLikeReference(t *testing.T) {
	seed, rounds := setting(t, "LBCTL_SEED", 1), int(setting(t, "LBCTL_ROUNDS", 100))
	indexes := placed(t)
	limits := lb.Limits{Services: 8, Replicas: 256, Slots: 1 << 14, Flows: 1 << 16}
	d := open(t, Options{Dir: testns.PinDir(t), Limits: limits, manualClock: true})
	routes := preferring{contract.Routes()}
	m := oracle.New(oracle.Config{Limits: limits, Interfaces: contract.Indexes(), Routes: routes})
	p := pair{t: t, random: rand.New(rand.NewPCG(seed, 0)), kernel: d, reference: m, ingress: indexes[contract.East]}
	for round := range rounds {
		if err := p.round(); err != nil {
			t.Fatalf("seed %d, round %d: %v\n%s", seed, round, err, p.log)
		}
	}
	t.Logf("seed %d: %d rounds", seed, rounds)
}

// preferring gives our address on the link as the source of tunnels.
type preferring struct{ oracle.Routes }

func (p preferring) Route(a netip.Addr) (oracle.Route, bool) {
	r, ok := p.Routes.Route(a)
	for _, l := range contract.Links() {
		for _, prefix := range l.Addresses {
			if l.Name == r.Interface && prefix.Addr().Is4() == a.Is4() {
				r.Preferred = prefix.Addr()
			}
		}
	}
	return r, ok
}

// pair is the datapath of the kernel and the reference.
type pair struct {
	t         *testing.T
	random    *rand.Rand
	kernel    *Datapath
	reference *oracle.Datapath
	ingress   int
	log       []string
}

func (p *pair) round() error {
	p.log = append(p.log, "")
	if len(p.log) > 8 {
		p.log = p.log[1:]
	}
	if err := p.change(); err != nil {
		return err
	}
	for range 40 {
		if err := p.packet(); err != nil {
			return err
		}
	}
	if p.random.IntN(2) == 0 {
		by := time.Duration(p.random.IntN(4_000)) * time.Millisecond
		if p.random.IntN(5) == 0 {
			by *= 4
		}
		p.note("\nadvance %v", by)
		p.reference.Advance(by)
		if err := p.kernel.sweep(by); err != nil {
			return err
		}
	}
	return p.compare()
}

func (p *pair) note(format string, args ...any) {
	p.log[len(p.log)-1] += fmt.Sprintf(format, args...)
}

// change sets a service, or removes one.
func (p *pair) change() error {
	s := p.service()
	if p.random.IntN(25) == 0 {
		p.note("\nremove %v", s.VIP)
		got, want := p.kernel.RemoveService(p.t.Context(), s.VIP), p.reference.RemoveService(p.t.Context(), s.VIP)
		if (got == nil) != (want == nil) {
			return fmt.Errorf("remove %v: %v, want %v", s.VIP, got, want)
		}
		return nil
	}
	p.note("\nset %+v", s)
	if err := p.reference.SetService(p.t.Context(), s); err != nil {
		return err
	}
	return p.kernel.SetService(p.t.Context(), s)
}

// service draws one of three VIPs. Mostly little of it differs from the last one.
func (p *pair) service() lb.Service {
	r := p.random
	n := r.IntN(3)
	s := lb.Service{
		VIP:  lb.VIP{Address: netip.MustParseAddrPort([]string{"192.0.2.1:80", "[2001:db8::1]:80", "192.0.2.1:53"}[n]), Protocol: []packet.Protocol{6, 6, 17}[n]},
		Mode: lb.Mode(r.IntN(3)), Scheduler: lb.Scheduler(r.IntN(2)), Tracking: lb.TrackAlways, Idle: time.Duration(8*(1+r.IntN(2))) * time.Second,
	}
	if r.IntN(8) == 0 {
		s.Seed = r.Uint32N(3)
	}
	if r.IntN(8) == 0 {
		s.Hash = lb.ToeplitzHash
	}
	if s.Scheduler == lb.Maglev {
		s.TableSize = []uint32{13, 13, 13, 7}[r.IntN(4)]
	}
	if r.IntN(2) == 0 && n < 2 {
		s.Tracking = lb.TrackChanges
	}
	if r.IntN(15) == 0 {
		s.Tracking, s.Idle = lb.Stateless, 0
	}
	for i := range 6 {
		host := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)}), s.VIP.Address.Port())
		if n == 1 {
			host = netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("2001:db8:2::%d", 1+i)), s.VIP.Address.Port())
		}
		if r.IntN(5) > 0 {
			s.Replicas = append(s.Replicas, lb.Replica{Address: host, State: []lb.ReplicaState{0, 0, 0, 1, 2}[r.IntN(5)]})
		}
	}
	return s.WithDefaults()
}

// packet sends one of few flows to a VIP, or explains it.
func (p *pair) packet() error {
	n := p.random.IntN(3)
	f := packet.Flow{
		Source:      netip.AddrPortFrom(netip.MustParseAddr([]string{"198.51.100.1", "2001:db8:1::1", "198.51.100.2"}[n]), uint16(1000+p.random.IntN(60))),
		Destination: netip.MustParseAddrPort([]string{"192.0.2.1:80", "[2001:db8::1]:80", "192.0.2.1:53"}[n]), Protocol: []packet.Protocol{6, 6, 17}[n],
	}
	probe := lb.Probe{Flow: f, SYN: p.random.IntN(3) == 0, Ingress: p.ingress}
	if err := p.explain(probe); err != nil {
		return err
	}
	frame, err := oracle.FrameOf(probe)
	if err != nil {
		return err
	}
	got, err := send(p.kernel.Program(), p.ingress, slices.Clone(frame))
	if err != nil {
		return err
	}
	want := p.reference.Process(contract.Indexes()[contract.East], frame)
	if got.Action != want.Action || got.Action != oracle.Drop && !slices.Equal(got.Frame, want.Frame) {
		return fmt.Errorf("%v syn %v: %v, want %v (%v)\n% x\n% x", f, probe.SYN, got.Action, want.Action, want.Reason, got.Frame, want.Frame)
	}
	return nil
}

func (p *pair) explain(probe lb.Probe) error {
	got, err := p.kernel.Explain(probe)
	if err != nil {
		return err
	}
	probe.Ingress = contract.Indexes()[contract.East]
	want, err := p.reference.Explain(probe)
	if err != nil {
		return err
	}
	got.NextHop.Index, want.NextHop.Index = 0, 0
	if diff := cmp.Diff(want, got, exact...); diff != "" {
		return fmt.Errorf("explain %v (-reference +kernel):\n%s", probe.Flow, diff)
	}
	return nil
}

// compare compares what both tell of services, flows and counters.
func (p *pair) compare() error {
	for _, c := range []struct {
		what string
		get  func(lb.Dataplane) (any, error)
	}{
		{"services", func(d lb.Dataplane) (any, error) { return d.Services() }},
		{"flows", func(d lb.Dataplane) (any, error) { return d.Flows() }},
		{"counters", func(d lb.Dataplane) (any, error) { return d.Counters() }},
	} {
		got, err := c.get(p.kernel)
		if err != nil {
			return err
		}
		want, err := c.get(p.reference)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(want, got, exact...); diff != "" {
			return fmt.Errorf("%s (-reference +kernel):\n%s", c.what, diff)
		}
	}
	return nil
}
