package contract

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// refusal is a change that must not happen.
type refusal struct {
	name string
	try  func(ctx context.Context, d lb.Dataplane) error
	// want are the errors of which it must be one.
	want []error
}

// testRefusals tests that a change with an error changes nothing: neither services nor counters nor where
// packets go.
func testRefusals(t *testing.T, open func(t *testing.T) Harness) {
	b, present := newFixture(t, open), variety()
	b.set(present...)
	for _, r := range refusals() {
		t.Run(r.name, func(t *testing.T) {
			b := fixture{b.Harness, t}
			b.reaches(present[1].VIP, present[1].Replicas[0])
			b.unchanged(r.name, func() { b.refused(r) })
			b.reaches(present[1].VIP, present[1].Replicas[0])
		})
	}
}

func (b fixture) refused(r refusal) {
	b.t.Helper()
	err := r.try(b.t.Context(), b.Dataplane)
	for _, want := range r.want {
		if errors.Is(err, want) {
			return
		}
	}
	b.t.Errorf("%s: error %v, want one of %v", r.name, err, r.want)
}

// refusals are tried on the services of variety.
func refusals() []refusal {
	return append(invalidServices(),
		set("a nat replica of another VIP", ipv4.service(9, packet.TCP, ipv4.on(West, 9, 80), ipv4.on(West, 3, 8081)), lb.ErrConflict),
		set("a nat replica of another VIP, replacing", ipv4.service(2, packet.TCP, ipv4.on(West, 1, 8080)), lb.ErrConflict),
		set("a port of another's several", ranged(at(ipv4.service(3, packet.TCP), 99), 100), lb.ErrConflict),
		set("a replica with another VIP's address", ipv4.service(9, packet.TCP, ipv4.vip(2, packet.TCP).Address), lb.ErrConflict, lb.ErrInvalid),
		set("a VIP with a replica's address", lb.Service{VIP: lb.VIP{Address: ipv4.on(West, 3, 99), Protocol: packet.TCP}}, lb.ErrConflict, lb.ErrInvalid),
		refusal{"remove what is not there", func(ctx context.Context, d lb.Dataplane) error {
			return d.RemoveService(ctx, ipv4.vip(2, packet.UDP))
		}, []error{lb.ErrNotFound}},
		refusal{"detach what is not there", func(ctx context.Context, d lb.Dataplane) error {
			return d.Detach(ctx, West)
		}, []error{lb.ErrNotFound}},
		attachAs("no-such-link", lb.Auto, lb.ErrNotFound),
	)
}

// testUnfit tests which addresses no replica can have. A service may have one all the same, since an address may become so
// later: then the condition says it of those that are in use.
func testUnfit(t *testing.T, open func(t *testing.T) Harness) {
	b := newFixture(t, open)
	for _, l := range Links() {
		for _, p := range l.Addresses {
			var all []netip.Addr
			for host := range 256 {
				all = append(all, hostOf(p, byte(host)))
			}
			for _, times := range []int{1, 20} { // few are asked for one by one
				why, err := b.Dataplane.Unfit(slices.Repeat(all, times))
				for _, a := range all {
					if err != nil || (why[a] != "") != reserved(p, a) {
						t.Errorf("%v is %q, %v", a, why[a], err)
					}
				}
			}
		}
	}
	nowhere := []netip.Addr{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8:9::1")}
	if why, err := b.Dataplane.Unfit(nowhere); len(why) > 0 || err != nil {
		t.Errorf("%v, to which there is no route, are %v, %v", nowhere, why, err)
	}
	own := Links()[0].Addresses[0].Addr()
	s := ipv4.service(1, packet.TCP, netip.AddrPortFrom(own, 80), ipv4.on(West, 1, 80))
	b.set(s)
	b.wantUnfit(own)
	b.remove(s.VIP)
	b.wantUnfit()
}

func (b fixture) wantUnfit(want ...netip.Addr) {
	b.t.Helper()
	c, err := b.Dataplane.Condition()
	if got := slices.Collect(maps.Keys(c.Unfit)); err != nil || !slices.Equal(got, want) {
		b.t.Errorf("the condition has %v, %v, want %v", c.Unfit, err, want)
	}
}

func set(name string, s lb.Service, want ...error) refusal {
	return refusal{name, func(ctx context.Context, d lb.Dataplane) error { return d.SetService(ctx, s) }, want}
}

// invalidServices are one valid service with one named change each. Package lb tests the validation itself;
// this tests that it is used.
func invalidServices() []refusal {
	var all []refusal
	for name, change := range map[string]func(*lb.Service){
		"ports with nat":     func(s *lb.Service) { s.EndPort = 99 },
		"vip port 0":         func(s *lb.Service) { s.VIP.Address = netip.AddrPortFrom(s.VIP.Address.Addr(), 0) },
		"no vip":             func(s *lb.Service) { s.VIP = lb.VIP{} },
		"protocol 1":         func(s *lb.Service) { s.VIP.Protocol = 1 },
		"scheduler 9":        func(s *lb.Service) { s.Scheduler = 9 },
		"mode 9":             func(s *lb.Service) { s.Mode = 9 },
		"hash 9":             func(s *lb.Service) { s.Hash = 9 },
		"tracking 9":         func(s *lb.Service) { s.Tracking, s.Idle = 9, idle },
		"state 9":            func(s *lb.Service) { s.Replicas[0].State, s.TableSize = 9, 1 },
		"no idle time":       func(s *lb.Service) { s.Tracking = lb.TrackChanges },
		"idle, no memory":    func(s *lb.Service) { s.Idle = idle },
		"short idle time":    func(s *lb.Service) { s.Tracking, s.Idle = lb.TrackAlways, idle/2 },
		"slots for draining": func(s *lb.Service) { s.Replicas[0].State = lb.Draining },
		"dsr, other port":    func(s *lb.Service) { s.Mode, s.Replicas[0].Address = lb.DSR, ipv4.on(West, 7, 81) },
		"dsr, mixed families": func(s *lb.Service) {
			s.Mode, s.Replicas[0].Address = lb.DSR, ipv6.on(West, 7, 80)
		},
		"udp, changes":       func(s *lb.Service) { s.VIP.Protocol, s.Tracking, s.Idle = packet.UDP, lb.TrackChanges, idle },
		"table size":         func(s *lb.Service) { s.TableSize++ },
		"maglev, not prime":  func(s *lb.Service) { s.Scheduler, s.TableSize = lb.Maglev, 12 },
		"weight 0":           func(s *lb.Service) { s.Replicas[0].Weight = 0 },
		"modulo with weight": func(s *lb.Service) { s.Replicas[0].Weight = 2 },
		"replica port 0": func(s *lb.Service) {
			s.Replicas[0].Address = netip.AddrPortFrom(s.Replicas[0].Address.Addr(), 0)
		},
		"replica twice": func(s *lb.Service) { s.Replicas[1] = s.Replicas[0] },
		"ipv6 in ipv4": func(s *lb.Service) {
			s.VIP, s.Mode = ipv6.vip(9, packet.TCP), lb.IPIP
		},
		"mixed families":       func(s *lb.Service) { s.Replicas[0].Address = ipv6.on(West, 9, 80) },
		"gue in nat":           func(s *lb.Service) { s.Encapsulation, s.TunnelPort = lb.GUE, lb.GUEPort },
		"gue without port":     func(s *lb.Service) { s.Mode, s.Encapsulation = lb.IPIP, lb.GUE },
		"ipip with port":       func(s *lb.Service) { s.Mode, s.TunnelPort = lb.IPIP, lb.GUEPort },
		"encapsulation 9":      func(s *lb.Service) { s.Mode, s.Encapsulation, s.TunnelPort = lb.IPIP, 9, 9 },
		"sources in nat":       func(s *lb.Service) { s.TunnelSources = netip.MustParsePrefix("10.9.8.0/24") },
		"ipv6 sources":         func(s *lb.Service) { s.Mode, s.TunnelSources = lb.IPIP, netip.MustParsePrefix("fd00::/64") },
		"vip in sources":       func(s *lb.Service) { s.Mode, s.TunnelSources = lb.IPIP, netip.MustParsePrefix("192.0.2.0/24") },
		"range twice":          func(s *lb.Service) { s.SourceRanges = ranges("10.9.8.0/24", "10.9.8.0/24") },
		"bits behind a range":  func(s *lb.Service) { s.SourceRanges = ranges("10.9.8.1/24") },
		"mapped range":         func(s *lb.Service) { s.SourceRanges = ranges("::ffff:10.9.8.0/120") },
		"no range":             func(s *lb.Service) { s.SourceRanges = []netip.Prefix{{}} },
		"ranges of ipv6":       func(s *lb.Service) { s.SourceRanges = ranges("2001:db8::/32") },
		"rate without a burst": func(s *lb.Service) { s.RateLimit.Packets = 9 },
		"burst without a rate": func(s *lb.Service) { s.RateLimit.Burst = time.Second },
		"long burst":           func(s *lb.Service) { s.RateLimit = lb.RateLimit{Packets: 9, Burst: 11 * time.Second} },
		"burst in us":          func(s *lb.Service) { s.RateLimit = lb.RateLimit{Packets: 9, Burst: 1500 * time.Microsecond} },
		"flow rate too high":   func(s *lb.Service) { s.RateLimit = lb.RateLimit{NewFlows: lb.MaxFlowRate + 1, Burst: time.Second} },
		"packet rate too high": func(s *lb.Service) { s.RateLimit = lb.RateLimit{Packets: lb.MaxPacketRate + 1, Burst: time.Second} },
		"flow rate, stateless udp": func(s *lb.Service) {
			s.VIP.Protocol, s.RateLimit = packet.UDP, lb.RateLimit{NewFlows: 1, Burst: time.Second}
		},
		"a replica as vip":  func(s *lb.Service) { s.Replicas[0].Address = s.VIP.Address },
		"mapped address":    func(s *lb.Service) { s.VIP.Address = mapped(s.VIP.Address) },
		"multicast replica": func(s *lb.Service) { s.Replicas[0].Address = netip.MustParseAddrPort("224.0.0.1:80") },
	} {
		s := ipv4.service(1, packet.TCP, ipv4.on(West, 7, 80), ipv4.on(West, 8, 80)) // a replacement
		change(&s)
		all = append(all, set("invalid: "+name, s, lb.ErrInvalid))
	}
	return all
}

// ranges parses prefixes.
func ranges(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// mapped returns an IPv4 address as IPv6 writes it.
func mapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
}

// testCapacity tests each of the limits at its border.
func testCapacity(t *testing.T, open func(t *testing.T) Harness) {
	t.Run("services", func(t *testing.T) { testServiceLimit(newFixture(t, open)) })
	t.Run("replicas", func(t *testing.T) { testReplicaLimit(newFixture(t, open)) })
	t.Run("slots", func(t *testing.T) { testSlotLimit(newFixture(t, open)) })
	t.Run("slots are used again", func(t *testing.T) { testSlotsReused(newFixture(t, open)) })
}

// full tries to set a service for which there is no room.
func (b fixture) full(s lb.Service) {
	b.t.Helper()
	b.unchanged("no room", func() { b.refused(set("no room", s, lb.ErrFull)) })
}

func testServiceLimit(b fixture) {
	n := byte(Limits().Services)
	for i := range n {
		b.set(ipv4.service(i+1, packet.TCP, ipv4.on(West, i+1, 80)))
	}
	b.full(ipv4.service(n+1, packet.TCP, ipv4.on(West, n+1, 80)))
	b.set(ipv4.service(1, packet.TCP, ipv4.on(West, 99, 80))) // a replacement is not one more
	b.remove(ipv4.vip(2, packet.TCP))
	b.set(ipv4.service(n+1, packet.TCP, ipv4.on(West, n+1, 80)))
	b.reaches(ipv4.vip(n, packet.TCP), lb.Replica{Address: ipv4.on(West, n, 80)})
}

// withReplicas returns a service with n replicas, which differ by their ports, from first on.
func withReplicas(number byte, n int, first uint16) lb.Service {
	s := ipv4.service(number, packet.TCP)
	for i := range n {
		s.Replicas = append(s.Replicas, lb.Replica{Address: ipv4.on(West, number, first+uint16(i))})
	}
	return s.WithDefaults()
}

func testReplicaLimit(b fixture) {
	n := int(Limits().Replicas)
	b.full(withReplicas(1, n+1, 1000))
	b.set(withReplicas(1, n-1, 1000))
	b.full(withReplicas(2, 2, 1000))
	b.set(withReplicas(2, 1, 1000))
	b.full(withReplicas(2, 2, 1000))
	b.set(withReplicas(1, 1, 1000))
	b.set(withReplicas(2, 2, 1000))
	b.reaches(ipv4.vip(1, packet.TCP), lb.Replica{Address: ipv4.on(West, 1, 1000)})
}

// slotted returns a service with a Maglev table of that size.
func slotted(number byte, size uint32) lb.Service {
	s := ipv4.service(number, packet.TCP, ipv4.on(West, number, 80))
	s.Scheduler, s.TableSize = lb.Maglev, size
	return s
}

func testSlotLimit(b fixture) {
	b.full(slotted(1, 8209)) // a prime; Limits has 8192
	b.set(slotted(1, 5003))
	b.full(slotted(2, 5003))
	b.full(slotted(1, 5009)) // the old table and the new one do not fit together
	b.reaches(ipv4.vip(1, packet.TCP), lb.Replica{Address: ipv4.on(West, 1, 80)})
	b.remove(ipv4.vip(1, packet.TCP))
	b.set(slotted(2, 5003))
	b.reaches(ipv4.vip(2, packet.TCP), lb.Replica{Address: ipv4.on(West, 2, 80)})
}

// testSlotsReused replaces a table more often than there would be slots for without reusing them.
func testSlotsReused(b fixture) {
	b.set(slotted(1, 1009), slotted(2, 13))
	for i := range uint32(50) {
		s := slotted(1, []uint32{1009, 2003, 251}[i%3])
		s.Seed = i
		b.set(s)
	}
	b.reaches(ipv4.vip(1, packet.TCP), lb.Replica{Address: ipv4.on(West, 1, 80)})
	b.reaches(ipv4.vip(2, packet.TCP), lb.Replica{Address: ipv4.on(West, 2, 80)})
}
