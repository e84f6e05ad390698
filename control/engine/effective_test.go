package engine

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lbctl/control/intent"
	"lbctl/lb"
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

func replica(n byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 80)
}

// web returns a service whose replicas are 1, 2 and so on.
func web(replicas ...intent.Replica) intent.Service {
	s := intent.Service{Name: "web", Service: lb.Service{
		VIP: lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: 6}, Mode: lb.NAT,
	}}
	for n := range replicas {
		replicas[n].Address, replicas[n].Weight = replica(byte(n+1)), 1
	}
	s = s.WithReplicas(replicas)
	s.Service = s.WithDefaults()
	return s
}

func in(state lb.ReplicaState) intent.Replica {
	return intent.Replica{Replica: lb.Replica{State: state}}
}

func until(t time.Time) intent.Replica {
	r := in(lb.Draining)
	r.DrainUntil = t
	return r
}

func TestEffective(t *testing.T) {
	eth0, eth1 := intent.Interface{Name: "eth0", Mode: lb.Auto}, intent.Interface{Name: "eth1", Mode: lb.Native}
	sick := func(all ...byte) Healths {
		h := map[netip.AddrPort]Health{}
		for _, n := range all {
			h[replica(n)] = Health{Status: Unhealthy, Reason: "refused"}
		}
		return Healths{web().VIP: h}
	}
	strict := func(s intent.Service) intent.Service {
		s.Health.WhenNone = intent.NoneServes
		return s
	}
	for _, c := range []struct {
		name string
		in   intent.Intent
		f    Facts
		want intent.Intent
	}{
		{"nothing known", intent.Intent{Services: intent.List(web(in(lb.Active), until(noon))), Interfaces: []intent.Interface{eth0, eth1}}, Facts{},
			intent.Intent{Services: intent.List(web(in(lb.Active), until(noon))), Interfaces: []intent.Interface{eth0, eth1}}},
		{"before the deadline", intent.Intent{Services: intent.List(web(until(noon)))}, Facts{Now: noon.Add(-1)},
			intent.Intent{Services: intent.List(web(until(noon)))}},
		{"at the deadline", intent.Intent{Services: intent.List(web(in(lb.Active), until(noon), until(noon.Add(1))))}, Facts{Now: noon},
			intent.Intent{Services: intent.List(web(in(lb.Active), in(lb.Down), until(noon.Add(1))))}},
		{"drains without end", intent.Intent{Services: intent.List(web(in(lb.Draining)))}, Facts{Now: noon},
			intent.Intent{Services: intent.List(web(in(lb.Draining)))}},
		{"not healthy", intent.Intent{Services: intent.List(web(in(lb.Active), in(lb.Active)))}, Facts{Health: sick(2)},
			intent.Intent{Services: intent.List(web(in(lb.Active), in(lb.Down)))}},
		{"not healthy and draining", intent.Intent{Services: intent.List(web(in(lb.Active), until(noon.Add(1))))}, Facts{Now: noon, Health: sick(2)},
			intent.Intent{Services: intent.List(web(in(lb.Active), in(lb.Down)))}},
		{"none is healthy: all serve", intent.Intent{Services: intent.List(web(in(lb.Active), in(lb.Active), in(lb.Draining), in(lb.Down)))}, Facts{Health: sick(1, 2, 3, 4)},
			intent.Intent{Services: intent.List(web(in(lb.Active), in(lb.Active), in(lb.Draining), in(lb.Down)))}},
		{"none is healthy: none serves", intent.Intent{Services: intent.List(strict(web(in(lb.Active), in(lb.Active), in(lb.Draining), in(lb.Draining))))}, Facts{Health: sick(1, 2, 3)},
			intent.Intent{Services: intent.List(strict(web(in(lb.Down), in(lb.Down), in(lb.Down), in(lb.Draining))))}},
		{"the healthy one is not to be active", intent.Intent{Services: intent.List(web(in(lb.Active), in(lb.Down), in(lb.Draining)))}, Facts{Health: sick(1)},
			intent.Intent{Services: intent.List(web(in(lb.Active), in(lb.Down), in(lb.Draining)))}},
		{"nothing is known of the other", intent.Intent{Services: intent.List(web(in(lb.Active), in(lb.Active)))},
			Facts{Health: Healths{web().VIP: {replica(1): {Status: Unhealthy}, replica(2): {Status: Unknown}}}},
			intent.Intent{Services: intent.List(web(in(lb.Down), in(lb.Active)))}},
		{"another one is not healthy", intent.Intent{Services: intent.List(web(in(lb.Active)))}, Facts{Health: sick(9)},
			intent.Intent{Services: intent.List(web(in(lb.Active)))}},
		{"missing", intent.Intent{Interfaces: []intent.Interface{eth0, eth1}}, Facts{Links: Links{"eth0": {Obstacle: "not found"}, "eth9": {Obstacle: "not found"}}},
			intent.Intent{Interfaces: []intent.Interface{eth1}}},
		{"in another mode", intent.Intent{Interfaces: []intent.Interface{eth1}}, Facts{Links: Links{"eth1": {Mode: lb.Generic, Obstacle: "no native"}}},
			intent.Intent{Interfaces: []intent.Interface{{Name: "eth1", Mode: lb.Generic}}}},
		{"attached", intent.Intent{Interfaces: []intent.Interface{eth0}}, Facts{Links: Links{"eth0": {Mode: lb.Native}}},
			intent.Intent{Interfaces: []intent.Interface{eth0}}},
	} {
		if got := Effective(c.in, c.f); !got.Equal(c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// Whatever is known, the effective state is valid, differs in states of replicas and in interfaces alone, stays if
// nothing else becomes known, and is the intent again when all is well.
func TestEffectiveOfAnything(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		i := intent.Default()
		var replicas []intent.Replica
		f := Facts{Now: noon, Health: Healths{web().VIP: {}}, Links: Links{}}
		for n := range rapid.IntRange(0, 5).Draw(r, "replicas") {
			one := in(rapid.SampledFrom([]lb.ReplicaState{lb.Active, lb.Draining, lb.Down}).Draw(r, "state"))
			if one.State == lb.Draining && rapid.Bool().Draw(r, "deadline") {
				one.DrainUntil = noon.Add(time.Duration(rapid.IntRange(-2, 2).Draw(r, "seconds")) * time.Second)
			}
			if rapid.Bool().Draw(r, "unhealthy") {
				f.Health[web().VIP][replica(byte(n+1))] = Health{Status: Unhealthy}
			}
			replicas = append(replicas, one)
		}
		i.Services = intent.List(web(replicas...))
		i.Services[0].Health.WhenNone = rapid.SampledFrom([]intent.WhenNone{intent.AllServe, intent.NoneServes}).Draw(r, "when none")
		for _, name := range []string{"eth0", "eth1"} {
			i = i.WithInterface(intent.Interface{Name: name, Mode: rapid.SampledFrom([]lb.AttachMode{lb.Auto, lb.Native, lb.Generic}).Draw(r, "mode")})
			f.Links[name] = Link{
				Mode:     rapid.SampledFrom([]lb.AttachMode{"", lb.Native, lb.Generic}).Draw(r, "attached"),
				Obstacle: rapid.SampledFrom([]string{"", "not found"}).Draw(r, "obstacle"),
			}
		}
		e := Effective(i, f)
		if err := e.Validate(); err != nil {
			r.Fatalf("%+v of %+v: %v", e, i, err)
		}
		if again := Effective(e, f); !again.Equal(e) {
			r.Fatalf("%+v of itself is %+v", e, again)
		}
		if well := Effective(i, Facts{}); !well.Equal(i) {
			r.Fatalf("%+v where all is well, want %+v", well, i)
		}
		sameButStates(r, *i.Services[0], *e.Services[0])
	})
}

func sameButStates(r *rapid.T, intended, effective intent.Service) {
	for n, one := range effective.Replicas {
		want := intended.Replicas[n]
		if one.State != want.State && one.State != lb.Down {
			r.Fatalf("replica %d of %v is %v", n, intended, one.State)
		}
		if one.State = want.State; one != want {
			r.Fatalf("replica %d is %+v, want %+v", n, one, want)
		}
	}
}
