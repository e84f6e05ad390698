package contract

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// reconfigure makes some random changes to both; many of them are refused. It compares the errors, and then
// the services.
func (d *comparison) reconfigure() error {
	for range 1 + d.random.IntN(4) {
		change := d.randomChange()
		got := change.try(d.t.Context(), d.subject.Dataplane)
		want := change.try(d.t.Context(), d.reference.Dataplane)
		if kind(got) != kind(want) {
			return fmt.Errorf("%s: error %v, want %v", change.name, got, want)
		}
	}
	got, err := d.subject.Dataplane.Services()
	if err != nil {
		return err
	}
	want, err := d.reference.Dataplane.Services()
	if err != nil {
		return err
	}
	if diff := difference(want, got); diff != "" {
		return fmt.Errorf("services (-reference +subject):\n%s", diff)
	}
	return nil
}

// kind returns which of the errors that lb promises an error is.
func kind(err error) string {
	if err == nil {
		return "none"
	}
	for _, known := range []error{lb.ErrInvalid, lb.ErrNotFound, lb.ErrConflict, lb.ErrFull} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return err.Error()
}

// randomChange edits a present service six times out of ten, else sets another one, once where possible one that shares
// the replicas of a present one, or removes one.
func (d *comparison) randomChange() refusal {
	if d.few {
		return fewChange(d.random)
	}
	s, choice := randomService(d.random), d.random.IntN(10)
	services, err := d.reference.Dataplane.Services()
	if err == nil && len(services) > 0 && choice < 6 {
		s = randomEdit(d.random, services[d.random.IntN(len(services))])
	}
	if choice == 6 {
		s = sharing(s, services)
	}
	if choice < 9 {
		return set(fmt.Sprintf("set %+v", s), s)
	}
	return removal(s.VIP)
}

// sharing returns a service at the VIP of s with the replicas of one that records every flow; s if there is none.
func sharing(s lb.Service, services []lb.Service) lb.Service {
	for _, of := range services {
		if of.Mode == lb.NAT && of.Tracking == lb.TrackAlways && of.VIP.Protocol == s.VIP.Protocol &&
			of.VIP.Address.Addr().Is4() == s.VIP.Address.Addr().Is4() {
			of.VIP = s.VIP
			return of
		}
	}
	return s
}

func removal(v lb.VIP) refusal {
	return refusal{name: fmt.Sprintf("remove %v", v), try: func(ctx context.Context, p lb.Dataplane) error {
		return p.RemoveService(ctx, v)
	}}
}

// fewVIPs are those of DifferentialFlows. Two by two have the same replicas, where both record every flow; the last one may be
// within the ports of the first.
func fewVIPs() []lb.VIP {
	return []lb.VIP{
		ipv4.vip(1, packet.TCP), ipv4.vip(2, packet.TCP), ipv6.vip(1, packet.TCP), ipv4.vip(2, packet.UDP), ipv4.vip(3, packet.UDP),
		{Address: withPort(ipv4.vip(1, packet.TCP).Address, 81), Protocol: packet.TCP},
	}
}

// fewChange sets one of the services of DifferentialFlows, whose replicas are mostly the same, or removes it.
func fewChange(r *rand.Rand) refusal {
	v := fewVIPs()[r.IntN(6)]
	if r.IntN(25) == 0 {
		return removal(v)
	}
	s := lb.Service{
		VIP: v, Mode: lb.Mode(r.IntN(3)), Scheduler: lb.Scheduler(r.IntN(2)), Tracking: lb.TrackAlways,
		Idle: time.Duration(1+r.IntN(2)) * idle, TableSize: []uint32{13, 13, 13, 7}[r.IntN(4)],
	}
	if r.IntN(8) == 0 {
		s.Seed = r.Uint32N(3)
	}
	if r.IntN(8) == 0 {
		s.Hash = lb.ToeplitzHash
	}
	if r.IntN(4) == 0 && v.Protocol == packet.TCP {
		s.Tracking = lb.TrackChanges
	}
	if r.IntN(15) == 0 {
		s.Tracking, s.Idle = lb.Stateless, 0
	}
	if s.Mode != lb.NAT && r.IntN(2) == 0 {
		s.EndPort = v.Address.Port() + 1 + uint16(r.IntN(2))
	}
	editOuter(r, &s)
	editRates(r, &s)
	for host := range byte(6) {
		if r.IntN(5) > 0 {
			s.Replicas = append(s.Replicas, lb.Replica{Address: fewReplica(v, host), Weight: 1, State: []lb.ReplicaState{0, 0, 0, 1, 2}[r.IntN(5)]})
		}
	}
	return set(fmt.Sprintf("set %+v", s), sized(s, s.TableSize))
}

// fewReplica is one of the replicas of fewChange.
func fewReplica(v lb.VIP, host byte) netip.AddrPort {
	return familyOf(v.Address.Addr()).on(West, 1+host, v.Address.Port())
}

// randomService returns one of few VIPs with up to seven replicas, each on one of few ports. It
// may be invalid: a replica twice, or weights with modulo.
func randomService(r *rand.Rand) lb.Service {
	f := families()[r.IntN(2)]
	s := f.service(byte(1+r.IntN(3)), protocols()[r.IntN(2)])
	if s.VIP.Address == f.vip(3, 0).Address { // a route leads to it
		s.VIP.Address = f.on(East, unknown, 80)
	}
	s.Hash = lb.Hash(r.IntN(2))
	s.Seed = r.Uint32()
	if r.IntN(2) == 0 {
		s.Scheduler = lb.Maglev
		s.TableSize = []uint32{7, 13, 251, 509}[r.IntN(4)]
	}
	s.Mode = []lb.Mode{lb.NAT, lb.NAT, lb.NAT, lb.DSR, lb.IPIP, lb.IPIP}[r.IntN(6)]
	if r.IntN(3) == 0 { // another service, which may be within the ports of the one at 80
		s.VIP.Address = withPort(s.VIP.Address, []uint16{79, 81, 84, 90}[r.IntN(4)])
	}
	editTracking(r, &s)
	editOuter(r, &s)
	editRates(r, &s)
	editRanges(r, &s)
	editEndPort(r, &s)
	for range 1 + r.IntN(7) {
		s.Replicas = append(s.Replicas, randomMember(r, s))
	}
	return sized(s, s.TableSize)
}

// randomMember returns a replica that is mostly active.
func randomMember(r *rand.Rand, s lb.Service) lb.Replica {
	f := familyOf(s.VIP.Address.Addr())
	return lb.Replica{Address: randomEnd(r, f, s), Weight: randomWeight(r, s.Scheduler), State: randomState(r)}
}

// randomEnd returns an address that mostly suits the mode: with the VIP's port where the port stays, and
// sometimes of IPv6 for IPv4 packets in it.
func randomEnd(r *rand.Rand, f family, s lb.Service) netip.AddrPort {
	if s.Mode == lb.IPIP && r.IntN(3) == 0 {
		f = ipv6
	}
	a := randomReplica(r, f, s)
	if s.Mode != lb.NAT && r.IntN(100) > 0 {
		a = withPort(a, s.VIP.Address.Port())
	}
	return a
}

// randomReplica returns a replica that mostly can be reached. Its port is mostly one that no
// other VIP's replicas have, so that not too many changes are refused; often one that several may have.
func randomReplica(r *rand.Rand, f family, s lb.Service) netip.AddrPort {
	v := s.VIP
	number := v.Address.Addr().AsSlice()
	port := 8000 + uint16(number[len(number)-1])
	if v.Protocol == packet.UDP {
		port += 256
	}
	if r.IntN(40) == 0 || s.Tracking == lb.TrackAlways && r.IntN(3) == 0 {
		port = 8001
	}
	host := byte(1 + r.IntN(neighboursPerPrefix))
	switch r.IntN(12) {
	case 0:
		return f.on(West, unknown, port)
	case 1:
		return f.off(host, port)
	case 2, 3, 4:
		return f.on(Narrow, host, port)
	case 5:
		return f.on(East, host, port)
	}
	return f.on(West, host, port)
}

// randomWeight is 1 with modulo, but for one in a hundred.
func randomWeight(r *rand.Rand, s lb.Scheduler) uint16 {
	if s == lb.Modulo && r.IntN(100) > 0 {
		return 1
	}
	return []uint16{1, 1, 2, 10, 65535}[r.IntN(5)]
}

// randomEdit returns a service with one or two changes such as an operator makes, or health does.
func randomEdit(r *rand.Rand, s lb.Service) lb.Service {
	s = s.Clone()
	for range 1 + r.IntN(2) {
		edits()[r.IntN(len(edits()))](r, &s)
	}
	return sized(s, s.TableSize)
}

// edits are the changes of a service. That of a replica's state is the most frequent, so it is there more than
// once.
func edits() []func(r *rand.Rand, s *lb.Service) {
	return []func(r *rand.Rand, s *lb.Service){
		editState, editState, editState, addReplica, removeReplica, weigh,
		func(r *rand.Rand, s *lb.Service) { s.Seed = r.Uint32N(2) },
		func(r *rand.Rand, s *lb.Service) { s.Hash = lb.Hash(r.IntN(2)) },
		editTracking, editOuter, editRates, editRanges, editEndPort,
		func(r *rand.Rand, s *lb.Service) {
			r.Shuffle(len(s.Replicas), func(i, j int) { s.Replicas[i], s.Replicas[j] = s.Replicas[j], s.Replicas[i] })
		},
		func(r *rand.Rand, s *lb.Service) { s.TableSize = []uint32{7, 13, 251, 509}[r.IntN(4)] },
	}
}

func editState(r *rand.Rand, s *lb.Service) {
	if len(s.Replicas) > 0 {
		s.Replicas[r.IntN(len(s.Replicas))].State = randomState(r)
	}
}

// randomState is mostly active.
func randomState(r *rand.Rand) lb.ReplicaState {
	return []lb.ReplicaState{lb.Active, lb.Active, lb.Active, lb.Active, lb.Draining, lb.Down}[r.IntN(6)]
}

func editTracking(r *rand.Rand, s *lb.Service) {
	if s.Tracking, s.Idle = lb.Tracking(r.IntN(3)), 0; s.Tracking != lb.Stateless {
		s.Idle = time.Duration(1+r.IntN(3)) * idle
	}
}

func addReplica(r *rand.Rand, s *lb.Service) { s.Replicas = append(s.Replicas, randomMember(r, *s)) }

func removeReplica(r *rand.Rand, s *lb.Service) {
	if n := len(s.Replicas); n > 0 {
		i := r.IntN(n)
		s.Replicas = slices.Delete(s.Replicas, i, i+1)
	}
}

func weigh(r *rand.Rand, s *lb.Service) {
	if len(s.Replicas) > 0 {
		s.Replicas[r.IntN(len(s.Replicas))].Weight = randomWeight(r, s.Scheduler)
	}
}

// editEndPort gives a service one port, or where the mode leaves it several, which may overlap with those of others.
func editEndPort(r *rand.Rand, s *lb.Service) {
	s.EndPort = 0
	if s.Mode != lb.NAT && r.IntN(2) == 0 || r.IntN(50) == 0 {
		s.EndPort = s.VIP.Address.Port() + []uint16{1, 1, 4, 4, 9, 15, 40000}[r.IntN(7)] - uint16(r.IntN(20)/19)
	}
}

// randomPort returns the VIP of a service with one of its ports, or the one behind them.
func randomPort(r *rand.Rand, s lb.Service) netip.AddrPort {
	if s.EndPort == 0 || r.IntN(3) == 0 {
		return s.VIP.Address
	}
	more := uint32(s.EndPort - s.VIP.Address.Port() + 1)
	if r.IntN(2) == 0 {
		more = min(more, 16)
	}
	return withPort(s.VIP.Address, s.VIP.Address.Port()+uint16(r.Uint32N(more+1)))
}

// editRates gives a service one rate, both, or mostly none. They are such that in milliseconds whole numbers of a token's
// thousandths are earned, and so low that they matter in a batch.
func editRates(r *rand.Rand, s *lb.Service) {
	s.RateLimit = lb.RateLimit{}
	if r.IntN(3) == 0 {
		s.RateLimit.Packets = []uint32{1, 2, 5, 10, 25}[r.IntN(5)]
	}
	if r.IntN(3) == 0 && (s.VIP.Protocol == packet.TCP || s.Tracking == lb.TrackAlways) {
		s.RateLimit.NewFlows = []uint32{1, 2, 5}[r.IntN(3)]
	}
	if s.RateLimit != (lb.RateLimit{}) {
		s.RateLimit.Burst = []time.Duration{time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second}[r.IntN(4)]
	}
}

// editRanges gives a service up to twelve source ranges, or mostly none. They are around the addresses of clients.
func editRanges(r *rand.Rand, s *lb.Service) {
	s.SourceRanges = nil
	if r.IntN(3) > 0 {
		return
	}
	seen := map[netip.Prefix]bool{}
	for range 1 + r.IntN(12) {
		f := familyOf(s.VIP.Address.Addr())
		if r.IntN(5) == 0 {
			f = families()[r.IntN(2)]
		}
		p := randomRange(r, f)
		if !seen[p] || r.IntN(20) == 0 {
			s.SourceRanges = append(s.SourceRanges, p)
		}
		seen[p] = true
	}
}

// randomRange has one client, those of a link, or something in between or beyond.
func randomRange(r *rand.Rand, f family) netip.Prefix {
	a := randomClient(r, f).Addr()
	bits := a.BitLen() - r.IntN(12)
	switch r.IntN(8) {
	case 0:
		bits = a.BitLen()
	case 1:
		bits = r.IntN(a.BitLen() + 1)
	}
	return netip.PrefixFrom(a, bits).Masked()
}
