package reconcile_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/intent"
	"lbctl/control/reconcile"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// service is a modulo service on 192.0.2.vip:80 with replicas 10.0.0.N:80.
func service(vip byte, replicas ...byte) lb.Service {
	s := lb.Service{VIP: lb.VIP{
		Address:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, vip}), 80),
		Protocol: packet.TCP,
	}}
	for _, r := range replicas {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, r}), 80)
		s.Replicas = append(s.Replicas, lb.Replica{Address: a, Weight: 1})
	}
	return s.WithDefaults()
}

func forward(services ...lb.Service) (s reconcile.State) {
	for _, one := range services {
		s.Services = append(s.Services, &one)
	}
	return s
}

func attached(as ...intent.Interface) reconcile.State { return reconcile.State{Interfaces: as} }

// lines renders a plan for comparison.
func lines(steps []reconcile.Step) []string {
	var ls []string
	for _, s := range steps {
		l := fmt.Sprintf("%v: %s", s, s.Why)
		if s.Verb == reconcile.Set {
			l += ", " + fmt.Sprint(len(s.Service.Replicas))
		}
		if s.Verb == reconcile.Attach {
			l += ", " + s.Interface.Mode.String()
		}
		ls = append(ls, l)
	}
	return ls
}

func TestPlan(t *testing.T) {
	eth0 := func(m lb.AttachMode) intent.Interface { return intent.Interface{Name: "eth0", Mode: m} }
	small := lb.Limits{Services: 2, Replicas: 4, Slots: 100}
	for _, c := range []struct {
		name              string
		current, intended reconcile.State
		limits            lb.Limits
		want              []string
	}{
		{"nothing", forward(), forward(), lb.DefaultLimits, nil},
		{"unchanged", forward(service(1, 1), service(2, 2)), forward(service(2, 2), service(1, 1)), lb.DefaultLimits, nil},
		{"by VIP", forward(), forward(service(2, 2), service(1, 1)), lb.DefaultLimits, []string{
			"set tcp 192.0.2.1:80: new, 1", "set tcp 192.0.2.2:80: new, 1"}},
		{"order of replicas counts", forward(service(1, 1, 2)), forward(service(1, 2, 1)), lb.DefaultLimits, []string{
			"set tcp 192.0.2.1:80: changed, 2"}},
		{"additions before removals", forward(service(1, 1)), forward(service(2, 2)), lb.DefaultLimits, []string{
			"set tcp 192.0.2.2:80: new, 1", "remove tcp 192.0.2.1:80: gone"}},
		{"released before it is taken", forward(service(2, 1, 2)), forward(service(1, 1), service(2, 2)), lb.DefaultLimits, []string{
			"set tcp 192.0.2.2:80: changed, 1", "set tcp 192.0.2.1:80: new, 1"}},
		{"taken from one that goes", forward(service(2, 1), service(3, 3)), forward(service(1, 1)), lb.DefaultLimits, []string{
			"remove tcp 192.0.2.2:80: gone", "set tcp 192.0.2.1:80: new, 1", "remove tcp 192.0.2.3:80: gone"}},
		{"exchanged", forward(service(1, 1, 3), service(2, 2)), forward(service(1, 2, 3), service(2, 1)), lb.DefaultLimits, []string{
			"set tcp 192.0.2.2:80: releases replicas, 0",
			"set tcp 192.0.2.1:80: changed, 2", "set tcp 192.0.2.2:80: changed, 1"}},
		{"no room for both", forward(service(1, 1), service(2, 2)), forward(service(2, 2), service(3, 3)), small, []string{
			"remove tcp 192.0.2.1:80: gone", "set tcp 192.0.2.3:80: new, 1"}},
		{"one shrinks before another grows", forward(service(1, 1), service(2, 2, 3, 4)), forward(service(1, 1, 3, 4), service(2, 2)), small, []string{
			"set tcp 192.0.2.2:80: changed, 1", "set tcp 192.0.2.1:80: changed, 3"}},
		{"attach", attached(), attached(eth0(lb.Auto)), lb.DefaultLimits, []string{"attach eth0: new, auto"}},
		{"auto is any mode", attached(eth0(lb.Generic)), attached(eth0(lb.Auto)), lb.DefaultLimits, nil},
		{"another mode", attached(eth0(lb.Generic)), attached(eth0(lb.Native)), lb.DefaultLimits, []string{
			"detach eth0: changed", "attach eth0: changed, native"}},
		{"services before interfaces, the reverse on removal",
			reconcile.State{Services: forward(service(1, 1)).Services, Interfaces: []intent.Interface{{Name: "a", Mode: lb.Native}}},
			reconcile.State{Services: forward(service(2, 2)).Services, Interfaces: []intent.Interface{{Name: "b", Mode: lb.Native}}},
			lb.DefaultLimits, []string{
				"set tcp 192.0.2.2:80: new, 1", "attach b: new, native", "detach a: gone", "remove tcp 192.0.2.1:80: gone"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := lines(reconcile.Plan(c.current, c.intended, c.limits))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPlanOfAVIPThatWasAReplica: a replica may not have a VIP's address, so the
// replica goes first.
func TestPlanOfAVIPThatWasAReplica(t *testing.T) {
	before := service(1, 1, 2)
	after := service(1, 1)
	onReplica := lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort("10.0.0.2:81"), Protocol: packet.UDP}}
	want := []string{"set tcp 192.0.2.1:80: changed, 1", "set udp 10.0.0.2:81: new, 0"}
	got := lines(reconcile.Plan(forward(before), forward(after, onReplica), lb.DefaultLimits))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	want = []string{"remove udp 10.0.0.2:81: gone", "set tcp 192.0.2.1:80: changed, 2"}
	got = lines(reconcile.Plan(forward(after, onReplica), forward(before), lb.DefaultLimits))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan back (-want +got):\n%s", diff)
	}
}

// TestPlanOfPorts: a range gives its ports up before another takes them, and one of too many goes before another comes.
func TestPlanOfPorts(t *testing.T) {
	ranged := func(first, last uint16) lb.Service {
		s := service(1)
		s.Mode, s.EndPort = lb.DSR, last
		s.VIP.Address = netip.AddrPortFrom(s.VIP.Address.Addr(), first)
		return s
	}
	many := func(from, n uint16) (s reconcile.State) {
		for i := range n {
			s.Services = append(s.Services, forward(ranged(10*(from+i), 10*(from+i)+9)).Services...)
		}
		return s
	}
	for _, c := range []struct {
		name              string
		current, intended reconcile.State
		want              []string
	}{
		{"taken from one that goes", forward(ranged(8050, 8099)), forward(ranged(8000, 8060)), []string{
			"remove tcp 192.0.2.1:8050: gone", "set tcp 192.0.2.1:8000: new, 0"}},
		{"released before they are taken", forward(ranged(8000, 8099)), forward(ranged(8000, 8049), ranged(8050, 8099)), []string{
			"set tcp 192.0.2.1:8000: changed, 0", "set tcp 192.0.2.1:8050: new, 0"}},
		{"a later one gives up its range", forward(ranged(8000, 8049), ranged(8050, 8099)), forward(ranged(8000, 8099), ranged(8050, 0)), []string{
			"set tcp 192.0.2.1:8050: changed, 0", "set tcp 192.0.2.1:8000: changed, 0"}},
		{"as many as there is room for", many(1, lb.MaxPortRanges), many(2, lb.MaxPortRanges), []string{
			"remove tcp 192.0.2.1:10: gone", "set tcp 192.0.2.1:130: new, 0"}},
	} {
		if diff := cmp.Diff(c.want, lines(reconcile.Plan(c.current, c.intended, lb.DefaultLimits))); diff != "" {
			t.Errorf("%s: plan (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestPlanSeesEveryField changes one field at a time.
func TestPlanSeesEveryField(t *testing.T) {
	for name, change := range map[string]func(*lb.Service){
		"scheduler": func(s *lb.Service) { s.Scheduler = lb.Maglev },
		"hash":      func(s *lb.Service) { s.Hash = lb.ToeplitzHash },
		"seed":      func(s *lb.Service) { s.Seed = 1 },
		"table":     func(s *lb.Service) { s.TableSize = 11 },
		"weight":    func(s *lb.Service) { s.Replicas[0].Weight = 2 },
		"replica":   func(s *lb.Service) { s.Replicas = s.Replicas[:1] },
		"mode":      func(s *lb.Service) { s.Mode = lb.DSR },
		"tracking":  func(s *lb.Service) { s.Tracking = lb.TrackAlways },
		"end port":  func(s *lb.Service) { s.EndPort = 99 },
		"idle":      func(s *lb.Service) { s.Idle = lb.MinIdle },
		"state":     func(s *lb.Service) { s.Replicas[1].State = lb.Draining },
	} {
		t.Run(name, func(t *testing.T) {
			changed := service(1, 1, 2)
			change(&changed)
			steps := reconcile.Plan(forward(service(1, 1, 2)), forward(changed), lb.DefaultLimits)
			if len(steps) != 1 || steps[0].Why != reconcile.Changed {
				t.Errorf("plan: %v", lines(steps))
			}
		})
	}
}

// TestPlanOfShared: services that two states share are not set, and count all the same: for the limits, and for the ranges of an
// address.
func TestPlanOfShared(t *testing.T) {
	ranged := func(n uint16) lb.Service {
		s := service(1)
		s.Mode, s.EndPort = lb.DSR, 10*n+9
		s.VIP.Address = netip.AddrPortFrom(s.VIP.Address.Addr(), 10*n)
		return s
	}
	var current reconcile.State
	for n := range uint16(lb.MaxPortRanges) {
		current.Services = append(current.Services, forward(ranged(n+1)).Services...)
	}
	last := lb.MaxPortRanges - 1
	intended := reconcile.State{Services: append(slices.Clone(current.Services[:last]), forward(ranged(50)).Services...)}
	small := lb.Limits{Services: 3, Replicas: 4, Slots: 100}
	for _, c := range []struct {
		name              string
		current, intended reconcile.State
		limits            lb.Limits
		want              []string
	}{
		{"nothing", current, current, lb.DefaultLimits, nil},
		{"as many ranges as there is room for", current, intended, lb.DefaultLimits, []string{"remove tcp 192.0.2.1:120: gone", "set tcp 192.0.2.1:500: new, 0"}},
		{"as many services", reconcile.State{Services: current.Services[:3]}, reconcile.State{Services: append(slices.Clone(current.Services[:2]), intended.Services[last])}, small,
			[]string{"remove tcp 192.0.2.1:30: gone", "set tcp 192.0.2.1:500: new, 0"}},
	} {
		if diff := cmp.Diff(c.want, lines(reconcile.Plan(c.current, c.intended, c.limits))); diff != "" {
			t.Errorf("%s: plan (-want +got):\n%s", c.name, diff)
		}
	}
}
