package conditions

import (
	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/lb"
)

// count counts the replicas of the nth service of the intent. What one that is starting has of its share changes with a step, and each
// step makes a state of its own.
func (g given) count(n int) api.ReplicaCounts {
	of := g.now.Given.Services[n]
	c := api.ReplicaCounts{All: len(of.Replicas)}
	for _, r := range of.Replicas {
		if r.State == lb.Down {
			c.Down++
			continue
		}
		if _, unfit := g.condition.Unfit[r.Address.Addr()]; unfit {
			c.Unreachable++
			continue
		}
		h, checked := g.now.Health(engine.Endpoint{VIP: of.VIP, Replica: r.Address})
		if checked && h.Status == engine.Unhealthy {
			c.Unhealthy++
			continue
		}
		if checked && h.Status == engine.Unknown {
			c.Unknown++
		}
		if r.State == lb.Draining {
			c.Draining++
			continue
		}
		c.Active++
		if !checked {
			continue
		}
		if share := g.now.Share(*of, r.Address, g.moment); share < 100 {
			c.Starting++
			if c.Started == nil || share < *c.Started {
				c.Started = &share
			}
		}
	}
	return c
}
