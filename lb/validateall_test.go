package lb_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"lbctl/lb"
	"lbctl/rss/packet"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// ranged gives a service the address of valid(0), several ports, and a mode that leaves them.
func ranged(s *lb.Service, first, last uint16) {
	s.Mode, s.EndPort = lb.DSR, last
	at(s, fmt.Sprintf("10.0.0.1:%d", first))
	for i := range s.Replicas {
		s.Replicas[i].Address = netip.AddrPortFrom(s.Replicas[i].Address.Addr(), first)
	}
}

func at(s *lb.Service, vip string) { s.VIP.Address = ends(vip) }

func TestValidateAll(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s []lb.Service)
		fields []string
	}{
		"valid": {func([]lb.Service) {}, nil},
		"one is wrong": {func(s []lb.Service) { s[2].Replicas[0].Weight = 0 },
			[]string{"services[2].replicas[0].weight"}},
		"vip twice": {func(s []lb.Service) { s[2].VIP = s[0].VIP }, []string{"services[2].vip"}},
		"vip twice, other protocol": {func(s []lb.Service) {
			s[2].VIP = lb.VIP{Address: s[0].VIP.Address, Protocol: packet.UDP}
		}, nil},
		"replica of two services": {func(s []lb.Service) { s[2].Replicas[1] = s[0].Replicas[2] },
			[]string{"services[2].replicas[1].address"}},
		"replica of two services, other protocol": {func(s []lb.Service) {
			s[2].Replicas[1], s[2].VIP.Protocol = s[0].Replicas[2], packet.UDP
		}, nil},
		"replica of two services, other port": {func(s []lb.Service) {
			s[2].Replicas[1].Address = ends("10.1.0.3:81")
		}, nil},
		"replica of three services": {func(s []lb.Service) { s[1].Replicas[0], s[2].Replicas[0] = s[0].Replicas[0], s[0].Replicas[0] },
			[]string{"services[1].replicas[0].address", "services[2].replicas[0].address"}},
		"replica is a later vip": {func(s []lb.Service) { s[0].Replicas[0].Address = s[2].VIP.Address },
			[]string{"services[0].replicas[0].address"}},
		"replica is an earlier vip": {func(s []lb.Service) { s[2].Replicas[0].Address = s[0].VIP.Address },
			[]string{"services[2].replicas[0].address"}},
		"replica is the own vip": {func(s []lb.Service) { s[2].Replicas[0].Address = s[2].VIP.Address },
			[]string{"services[2].replicas[0].address"}},
		"ports overlap":               {func(s []lb.Service) { ranged(&s[0], 8000, 8099); ranged(&s[2], 8099, 8100) }, []string{"services[2].end_port"}},
		"ports of a later one within": {func(s []lb.Service) { ranged(&s[0], 8001, 8002); ranged(&s[2], 8000, 8100) }, []string{"services[2].end_port"}},
		"ports beside each other":     {func(s []lb.Service) { ranged(&s[0], 8000, 8099); ranged(&s[2], 8100, 8199) }, nil},
		"ports of two protocols": {func(s []lb.Service) {
			ranged(&s[0], 8000, 8099)
			ranged(&s[2], 8000, 8099)
			s[2].VIP.Protocol = packet.UDP
		}, nil},
		"ports of two addresses":    {func(s []lb.Service) { ranged(&s[0], 8000, 8099); ranged(&s[2], 8000, 8099); at(&s[2], "10.0.9.9:8000") }, nil},
		"one port within a range":   {func(s []lb.Service) { ranged(&s[0], 8000, 8099); at(&s[2], "10.0.0.1:8050") }, nil},
		"first port, and the range": {func(s []lb.Service) { ranged(&s[0], 8000, 8099); at(&s[2], "10.0.0.1:8000") }, []string{"services[2].vip"}},
	} {
		t.Run(name, func(t *testing.T) {
			services := []lb.Service{valid(0), valid(1), valid(2)}
			c.change(services)
			err := lb.ValidateAll(services, lb.DefaultLimits)
			if diff := cmp.Diff(c.fields, fieldsOf(t, err)); diff != "" {
				t.Errorf("fields (-want +got):\n%s%v", diff, err)
			}
			// What ValidateAll accepts an index takes one after the other without a conflict; what it refuses it does not.
			if got := admitAll(services); (got == nil) != (err == nil) && !strings.HasPrefix(strings.Join(c.fields, ""), "services[2].vip") {
				t.Errorf("admit: %v, validate: %v", got, err)
			}
		})
	}
}

func TestValidateAllLimits(t *testing.T) {
	services := []lb.Service{valid(0), valid(1), weighted(251)}
	services[2].VIP.Address, services[2].Replicas = ends("10.0.2.1:80"), valid(2).Replicas
	exact := lb.Limits{Services: 3, Replicas: 9, Slots: 257}
	if err := lb.ValidateAll(services, exact); err != nil {
		t.Fatal(err)
	}
	for want, l := range map[string]lb.Limits{
		"3 services: want at most 2":  {Services: 2, Replicas: 9, Slots: 257},
		"9 replicas: want at most 8":  {Services: 3, Replicas: 8, Slots: 257},
		"257 slots: want at most 256": {Services: 3, Replicas: 9, Slots: 256},
	} {
		err := lb.ValidateAll(services, l)
		if diff := cmp.Diff([]string{"services"}, fieldsOf(t, err)); diff != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", l, err, want)
		}
	}
}

// aService draws a service of few addresses, so that several exclude each other. It may be invalid.
func aService(t *rapid.T) lb.Service {
	s := lb.Service{
		VIP:      lb.VIP{Address: ends(fmt.Sprintf("10.0.0.%d:80", rapid.IntRange(20, 24).Draw(t, "vip"))), Protocol: packet.TCP},
		Mode:     rapid.SampledFrom([]lb.Mode{lb.NAT, lb.NAT, lb.NAT, lb.DSR}).Draw(t, "mode"),
		Tracking: rapid.SampledFrom([]lb.Tracking{lb.TrackChanges, lb.TrackAlways, lb.TrackAlways}).Draw(t, "tracking"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "replicas") {
		host := rapid.SampledFrom([]int{1, 2, 3, 4, 5, 6, 20}).Draw(t, "host")
		s.Replicas = append(s.Replicas, lb.Replica{Address: ends(fmt.Sprintf("10.0.0.%d:80", host))})
	}
	return s.WithDefaults()
}

// edited draws a set of services that comes after another one.
func edited(t *rapid.T, old []lb.Service) []lb.Service {
	next := slices.Clone(old)
	for range rapid.IntRange(0, 2).Draw(t, "edits") {
		s := aService(t)
		i := slices.IndexFunc(next, func(o lb.Service) bool { return o.VIP == s.VIP })
		if i >= 0 && rapid.IntRange(0, 5).Draw(t, "twice") > 0 {
			next[i] = s
		} else {
			next = append(next, s)
		}
	}
	return next
}

// TestValidateChange: it finds the same as ValidateAll.
func TestValidateChange(t *testing.T) {
	valid, invalid := 0, 0
	limits := lb.Limits{Services: 4, Replicas: 6, Slots: 64}
	try := func(t *rapid.T) {
		var old []lb.Service
		for range 4 {
			if next := edited(t, old); lb.ValidateAll(next, limits) == nil {
				old = next
			}
		}
		next := edited(t, old)
		before := references(old)
		after := references(next)
		for n, s := range after { // as changes share what stays
			if i := slices.IndexFunc(before, func(o *lb.Service) bool { return o.SameAs(*s) }); i >= 0 {
				after[n] = before[i]
			}
		}
		got, want := lb.ValidateChange(before, after, limits), lb.ValidateAll(next, limits)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		if want == nil {
			valid++
		} else {
			invalid++
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			try(t)
		}
	})
	t.Logf("%d valid, %d invalid", valid, invalid)
	if valid == 0 || invalid == 0 {
		t.Error("not both")
	}
}

func references(services []lb.Service) (all []*lb.Service) {
	for n := range services {
		all = append(all, &services[n])
	}
	return all
}

// thousand returns 1,000 services of 100 replicas each, and limits that hold them.
func thousand() (all []lb.Service, l lb.Limits) {
	for i := range 1000 {
		s := lb.Service{VIP: lb.VIP{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 80), Protocol: packet.TCP}}
		for r := range 100 {
			n := 100*i + r
			s.Replicas = append(s.Replicas, lb.Replica{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 80)})
		}
		all = append(all, s.WithDefaults())
	}
	return all, lb.Limits{Services: 1 << 10, Replicas: 1 << 17, Slots: 1 << 20}
}

func BenchmarkValidateAll(b *testing.B) {
	all, limits := thousand()
	for b.Loop() {
		if err := lb.ValidateAll(all, limits); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkValidateChange changes one service of them.
func BenchmarkValidateChange(b *testing.B) {
	all, limits := thousand()
	next, other := append([]*lb.Service(nil), references(all)...), all[500].Clone()
	other.Replicas[3].Address, next[500] = netip.MustParseAddrPort("10.250.0.1:80"), &other
	old := references(all)
	for b.Loop() {
		if err := lb.ValidateChange(old, next, limits); err != nil {
			b.Fatal(err)
		}
	}
}

// What is found without a search for what excludes what is what the index finds of services that are added one after the other.
func TestValidateAllFindsConflicts(t *testing.T) {
	seen := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		var all []lb.Service
		conflict, vips, x := false, map[lb.VIP]bool{}, lb.NewIndex()
		for range rapid.IntRange(1, 4).Draw(t, "services") {
			s := aService(t)
			if s.Validate() != nil || vips[s.VIP] {
				continue
			}
			_, err := x.Conflict(s)
			conflict = conflict || err != nil
			x.Add(s)
			all, vips[s.VIP] = append(all, s), true
		}
		err := lb.ValidateAll(all, lb.DefaultLimits)
		if seen[err == nil]++; (err != nil) != conflict {
			t.Fatalf("%v: %v, conflict %v", all, err, conflict)
		}
	})
	if seen[true] == 0 || seen[false] == 0 {
		t.Errorf("valid and not: %v", seen)
	}
}
