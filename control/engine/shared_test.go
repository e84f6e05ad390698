package engine

import (
	"fmt"
	"testing"

	"lbctl/control/intent"
	"lbctl/control/store/storetest"
	"lbctl/lb"
)

// asked is a datapath that counts how often it was asked for all its services.
type asked struct {
	*links
	times int
}

func (a *asked) Services() ([]lb.Service, error) {
	a.times++
	return a.links.Services()
}

// TestSharedServices: what a change does not concern is shared by the states before and after it, also where the change brings a
// document of its own for each, and the datapath is not asked for it.
func TestSharedServices(t *testing.T) {
	i := wanting("eth0")
	for n := range byte(20) {
		s := dns()
		s.Name, s.VIP.Address = fmt.Sprintf("s%d", n), replica(100+n)
		i.Services = append(i.Services, intent.List(s.WithReplicas([]intent.Replica{{Replica: lb.Replica{Address: replica(200 + n), Weight: 1}}}))...)
	}
	dp := &asked{links: newLinks()}
	w := runOver(t, dp, dp.links, &storetest.Memory{}, i)
	before, times := w.Now(), dp.times
	w.mustEdit(func(i intent.Intent) (intent.Intent, error) {
		var all []intent.Service
		for _, s := range i.Services {
			of := *s
			of.Service = s.Clone()
			all = append(all, of)
		}
		i.Services = intent.List(all...)
		return with(i, web(in(lb.Active), in(lb.Down)))
	})
	now := w.Now()
	for n, s := range now.Intent.Services {
		shared := s == before.Intent.Services[n] && now.Given.Services[n] == before.Given.Services[n] && now.Effective.Services[n] == before.Effective.Services[n]
		if shared != (s.Name != "web") {
			t.Errorf("%s is shared: %v", s.Name, shared)
		}
	}
	if dp.times != times {
		t.Errorf("the datapath was asked for its services %d times", dp.times-times)
	}
	if w.state(2) != lb.Down || dp.sets != 22 {
		t.Errorf("replica 2 is %v after %d sets", w.state(2), dp.sets)
	}
}

// TestDoubtedDatapath: what was forwarded by hand beside the engine is found by the repair of Verify, and undone.
func TestDoubtedDatapath(t *testing.T) {
	w := startWorld(t, newLinks(), wanting("eth0"))
	if err := w.dp.RemoveService(t.Context(), web().VIP); err != nil {
		t.Fatal(err)
	}
	if _, found, err := w.Verify(t.Context(), true); err != nil || found.Found != 1 || found.Repaired != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	if w.state(1) != lb.Active {
		t.Error("it is not repaired")
	}
}
