package conditions

import (
	"bytes"
	"maps"
	"time"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/rest/encode"
	"lbctl/control/wire"
	"lbctl/lb"
)

// services are the conditions of all services, made once for all who ask until something is different that they follow from. At
// 10,000 services to make them takes some 20 ms, and to encode them as much.
type services struct {
	given
	// conditions are those of each service of the intent.
	conditions [][]api.Condition
	// counts are how many replicas each has.
	counts []api.ReplicaCounts
	// differ is how many are not programmed, and first names the first of them.
	differ int
	first  string
	// text is all of them as JSON, nil until somebody asks.
	text encode.Text
}

// newServices makes the conditions of all services. What is as it was before keeps its time, and the rest gets a new one.
func newServices(g given, before *services, moment *time.Time) *services {
	all := &services{given: g, conditions: make([][]api.Condition, len(g.now.Effective.Services))}
	all.counts = make([]api.ReplicaCounts, len(all.conditions))
	all.forwarded = nil // it is not needed any more
	had := before.byVIP(g.now)
	for n, of := range g.now.Effective.Services {
		c := g.service(n)
		all.counts[n] = g.count(n)
		if c[0].Status == no {
			if all.differ++; all.differ == 1 {
				all.first = of.Name
			}
		}
		var was []api.Condition
		if k, there := had(n, of.VIP); there {
			was = before.conditions[k]
		}
		stamp(c, was, moment)
		all.conditions[n] = c
	}
	return all
}

// stamp says of conditions since when they are so: as of was, or from now on. Healthy says so by itself.
func stamp(now, was []api.Condition, moment *time.Time) {
	for n := range now {
		switch {
		case now[n].Type == Healthy:
		case n < len(was) && was[n].Status == now[n].Status:
			now[n].Since = was[n].Since
		default:
			now[n].Since = moment
		}
	}
}

// byVIP returns what finds services among these: by their place in another intent where they are at the same in this, else by a map.
func (all *services) byVIP(in *engine.Snapshot) func(n int, of lb.VIP) (int, bool) {
	if all == nil {
		return func(int, lb.VIP) (int, bool) { return 0, false }
	}
	here := all.now.Effective.Services
	var places map[lb.VIP]int
	return func(n int, of lb.VIP) (int, bool) {
		if n < len(here) && here[n].VIP == of {
			return n, true
		}
		if places == nil {
			places = make(map[lb.VIP]int, len(here))
			for k, s := range here {
				places[s.VIP] = k
			}
		}
		k, there := places[of]
		return k, there
	}
}

// follow reports whether the conditions are still those that follow from the present state.
func (all *services) follow(now *engine.Snapshot, s engine.Status) bool {
	return all != nil && all.now == now && all.outOfSync == s.OutOfSync && maps.Equal(all.condition.Unfit, s.Condition.Unfit)
}

// of returns those of the nth service.
func (all *services) of(n int) api.ServiceConditions {
	s, counts := all.now.Intent.Services[n], all.counts[n]
	return api.ServiceConditions{
		Name: s.Name, Endpoint: wire.Endpoint(s.Service), Mode: s.Mode.String(), ReplicaCounts: counts,
		HealthDisregarded: counts.Active == 0 && counts.Unhealthy > 0 && s.Health.WhenNone == intent.AllServe, Conditions: all.conditions[n],
	}
}

// encoded returns all as a JSON list.
func (all *services) encoded() (encode.Text, error) {
	if all.text != nil {
		return all.text, nil
	}
	var text bytes.Buffer
	err := encode.JSON(&text, struct {
		All encode.List[api.ServiceConditions] `json:"all"`
	}{func(yield func(*api.ServiceConditions)) {
		for n := range all.conditions {
			c := all.of(n)
			yield(&c)
		}
	}})
	all.text = bytes.TrimSuffix(bytes.TrimPrefix(text.Bytes(), []byte(`{"all":`)), []byte("}\n"))
	return all.text, err
}
