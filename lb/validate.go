package lb

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"lbctl/rss/packet"
)

// Validate says everything that is wrong with the service by itself, as Problems; nil when
// nothing is. Defaults must be filled in: see WithDefaults. What only shows beside
// other services is found by ValidateAll.
func (s Service) Validate() error { return s.problems().err() }

func (s Service) problems() Problems {
	var ps Problems
	s.vipProblems(&ps)
	s.endPortProblems(&ps)
	s.choiceProblems(&ps)
	s.tunnelProblems(&ps)
	s.trackingProblems(&ps)
	s.rangeProblems(&ps)
	s.rateProblems(&ps)
	s.tableProblems(&ps)
	s.replicaProblems(&ps)
	return ps
}

func (s Service) vipProblems(ps *Problems) {
	addressProblems(ps, "vip.address", s.VIP.Address)
	if p := s.VIP.Protocol; p != packet.TCP && p != packet.UDP {
		ps.add("vip.protocol", "want tcp or udp", "%v", p)
	}
}

// choiceProblems finds values that no constant has.
func (s Service) choiceProblems(ps *Problems) {
	if s.Scheduler > Maglev {
		ps.add("scheduler", "want modulo or maglev", "%v is not known", s.Scheduler)
	}
	if s.Mode > IPIP {
		ps.add("mode", "want nat, dsr or ipip", "%v is not known", s.Mode)
	}
	if s.Hash > ToeplitzHash {
		ps.add("hash", "want jhash or toeplitz", "%v is not known", s.Hash)
	}
}

func (s Service) trackingProblems(ps *Problems) {
	switch {
	case s.Tracking > TrackAlways:
		ps.add("tracking", "want never, changes or always", "%v is not known", s.Tracking)
	case s.Tracking == TrackChanges && s.VIP.Protocol == packet.UDP:
		ps.add("tracking", "want always or never", "%v with udp, which does not say when a flow starts", s.Tracking)
	case s.Tracking == Stateless && s.Idle != 0:
		ps.add("idle", "leave it out, or remember flows (tracking: changes, or always)", "%v with tracking never", s.Idle)
	case s.Tracking != Stateless && (s.Idle < MinIdle || s.Idle > MaxIdle || s.Idle%time.Second != 0):
		ps.add("idle", fmt.Sprintf("want whole seconds from %v to %v", MinIdle, MaxIdle), "%v", s.Idle)
	}
}

func (s Service) tableProblems(ps *Problems) {
	n := uint64(len(s.Replicas))
	size := uint64(s.TableSize)
	switch s.Scheduler {
	case Modulo:
		if active := uint64(s.Active()); size != active {
			ps.add("table_size", fmt.Sprintf("want %d, the number of active replicas, or none", active),
				"%d slots with modulo", size)
		}
	case Maglev:
		switch {
		case size > MaxMaglevSize:
			ps.add("table_size", fmt.Sprintf("want a prime up to %d", MaxMaglevSize), "%d is too large", size)
		case size < n:
			ps.add("table_size", fmt.Sprintf("want a prime from %d, better a hundred times that", n),
				"%d slots for %d replicas", size, n)
		case !isPrime(s.TableSize):
			ps.add("table_size", fmt.Sprintf("want a prime, %d for instance", primeFrom(s.TableSize)),
				"%d is not a prime", size)
		}
	}
}

func (s Service) replicaProblems(ps *Problems) {
	first := s.places()
	for i, r := range s.Replicas {
		of := s.problemsOf(r)
		if j := first(r.Address); j < i {
			of.add("address", "want every replica once; for a larger share give maglev a weight",
				"%v is replicas[%d] already", r.Address, j)
		}
		ps.addWithin("replicas", i, of)
	}
}

// places returns a function that finds the first replica with an address that there is.
func (s Service) places() func(netip.AddrPort) int {
	if len(s.Replicas) <= 16 { // to look through so few costs less than an index
		return func(a netip.AddrPort) int {
			return slices.IndexFunc(s.Replicas, func(r Replica) bool { return r.Address == a })
		}
	}
	first := make(map[netip.AddrPort]int, len(s.Replicas))
	for i, r := range s.Replicas {
		if _, twice := first[r.Address]; !twice {
			first[r.Address] = i
		}
	}
	return func(a netip.AddrPort) int { return first[a] }
}

// problemsOf says what is wrong with a replica, beside the others.
func (s Service) problemsOf(r Replica) Problems {
	var ps Problems
	addressProblems(&ps, "address", r.Address)
	if a := r.Address.Addr(); a.Is6() && a.Zone() == "" && a.IsLinkLocalUnicast() {
		ps.add("address", "want a global or unique local address of the replica", "%v is a link-local address, and does not say of which link", a)
	}
	s.familyProblems(&ps, "address", r.Address.Addr())
	s.portProblems(&ps, "address", r.Address)
	s.weightProblems(&ps, "weight", r.Weight)
	if r.State > Down {
		ps.add("state", "want active, draining or down", "%v is not known", r.State)
	}
	if r.Address.Addr() == s.VIP.Address.Addr() && r.Address.IsValid() {
		loopProblem(&ps, "address", r.Address, s.VIP)
	}
	return ps
}

// loopProblem: the address of a VIP belongs to the load balancer, so that no other host
// can be reached by it; what is sent there comes back.
func loopProblem(ps *Problems, field string, replica netip.AddrPort, v VIP) {
	ps.add(field, "want an address that no service has", "%v has the address of the service %v: a loop", replica, v)
}

func (s Service) familyProblems(ps *Problems, field string, a netip.Addr) {
	vip := s.VIP.Address.Addr()
	if s.Mode == IPIP && vip.Is4() {
		return // IPv4 travels in IPv6 as well
	}
	if a.IsValid() && vip.IsValid() && a.Is4() != vip.Is4() {
		ps.add(field, "want replicas of the address family of the VIP", "%v behind %v", a, vip)
	}
}

// portProblems: only nat changes the port.
func (s Service) portProblems(ps *Problems, field string, a netip.AddrPort) {
	switch {
	case s.Mode == NAT || !a.IsValid() || a.Port() == s.VIP.Address.Port():
	case s.EndPort != 0:
		ps.add(field, fmt.Sprintf("want port %d, which stands for all ports of the service", s.VIP.Address.Port()),
			"port %d with ports %s, which stay as they are", a.Port(), s.Ports())
	default:
		ps.add(field, fmt.Sprintf("want port %d, that of the VIP, or the mode nat", s.VIP.Address.Port()),
			"port %d with %v, which leaves the port", a.Port(), s.Mode)
	}
}

func (s Service) weightProblems(ps *Problems, field string, w uint16) {
	switch {
	case w == 0:
		ps.add(field, "want 1 to 65535; to send a replica nothing, set its state to down", "0")
	case s.Scheduler == Modulo && w != 1:
		ps.add(field, "want 1, or the scheduler maglev", "%d with modulo, which has no weights", w)
	}
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// addressProblems finds what keeps an address and port from being one end of a
// flow. At most one problem of the address, and one of the port.
func addressProblems(ps *Problems, field string, a netip.AddrPort) {
	const hint = "want a unicast address and a port: 192.0.2.1:80 or [2001:db8::1]:80"
	if why := AddressProblem(a.Addr()); why != "" {
		ps.add(field, hint, "%s", why)
	}
	if a.Port() == 0 {
		ps.add(field, "want a port from 1 to 65535", "port 0")
	}
}

// AddressProblem returns what is wrong with an address, or "".
func AddressProblem(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "no address"
	case a.Is4In6():
		return a.String() + " is an IPv4 address written as IPv6: write " + a.Unmap().String()
	case a.Zone() != "":
		return a.String() + " has a zone"
	case a.IsUnspecified():
		return a.String() + " is the unspecified address"
	case a.Is4() && a.As4()[0] == 0:
		return a.String() + " is of this network, 0.0.0.0/8"
	case a.IsLoopback():
		return a.String() + " is a loopback address, which no packet on a link may have"
	case a.IsMulticast():
		return a.String() + " is a multicast address"
	case a == broadcast:
		return a.String() + " is the broadcast address"
	}
	return ""
}

// MaxMaglevSize is the largest Maglev table: the greatest prime below 1<<22. Beyond it a
// table takes longer to build than its finer shares are worth.
const MaxMaglevSize = 4194301

// isPrime reports whether n is a prime, by trial division: n is at most
// MaxMaglevSize, so it divides at most 1,024 times.
func isPrime(n uint32) bool {
	if n < 2 || n%2 == 0 {
		return n == 2
	}
	for d := uint32(3); uint64(d)*uint64(d) <= uint64(n); d += 2 {
		if n%d == 0 {
			return false
		}
	}
	return true
}

// primeFrom returns the smallest prime that is at least n, at most MaxMaglevSize.
func primeFrom(n uint32) uint32 {
	for ; n < MaxMaglevSize; n++ {
		if isPrime(n) {
			return n
		}
	}
	return MaxMaglevSize
}
