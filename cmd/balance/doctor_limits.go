package balance

import (
	"context"
	"errors"
	"time"

	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
	"lbctl/lb/doctor"
	"lbctl/lb/doctor/netstate"
)

// askLimits adds how full the tables are, and what limits of services drop: during a second, if there are any.
func askLimits(d *client.Client, ctx context.Context, q *netstate.Scope) error {
	config, _, err := d.Config(ctx)
	if errors.Is(err, lb.ErrDenied) {
		return nil // configurations are for operators
	}
	if err != nil {
		return err
	}
	flows, err := d.Flows(ctx)
	if err != nil {
		return err
	}
	q.Tables = tablesOf(config, flows, q.Services)
	if len(q.Limits) == 0 {
		return nil
	}
	before, err := d.Counters(ctx, "reason")
	if err != nil {
		return err
	}
	began := time.Now()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Second):
	}
	after, err := d.Counters(ctx, "reason")
	if err != nil {
		return err
	}
	for n, l := range q.Limits {
		q.Limits[n].PerSecond = float64(packetsOf(after, l.Reason)-packetsOf(before, l.Reason)) / time.Since(began).Seconds()
	}
	return nil
}

func packetsOf(c api.Counters, reason lb.Reason) uint64 {
	for _, r := range c.Reasons {
		if r.Reason == string(reason) {
			return r.Packets
		}
	}
	return 0
}

// addLimits notes what of a service may be dropped for its limits.
func addLimits(q *netstate.Scope, name string, s lb.Service) {
	add := func(reason lb.Reason, has bool) {
		if !has {
			return
		}
		for n, l := range q.Limits {
			if l.Reason == reason {
				q.Limits[n].Services = append(l.Services, name)
				return
			}
		}
		q.Limits = append(q.Limits, doctor.Limit{Reason: reason, Services: []string{name}})
	}
	add(lb.RateLimitedPackets, s.RateLimit.Packets > 0)
	add(lb.RateLimitedFlows, s.RateLimit.NewFlows > 0)
	add(lb.SourceDenied, len(s.SourceRanges) > 0)
}

// tablesOf returns how much of the tables services and recorded flows need.
func tablesOf(c api.Config, flows api.Flows, services []lb.Service) []doctor.Table {
	if c.Datapath == nil || c.Datapath.Limits == nil {
		return nil
	}
	var n struct{ replicas, slots, ranges, flows, halfOpen uint64 }
	for _, s := range services {
		n.replicas, n.slots, n.ranges = n.replicas+uint64(len(s.Replicas)), n.slots+uint64(s.Slots()), n.ranges+uint64(len(s.SourceRanges))
	}
	for _, s := range flows.Services {
		for _, r := range s.Replicas {
			n.flows, n.halfOpen = n.flows+r.FlowCounts.Established, n.halfOpen+r.FlowCounts.HalfOpen
		}
	}
	l := c.Datapath.Limits
	var all []doctor.Table
	add := func(name string, used uint64, most *int64) {
		if most != nil {
			all = append(all, doctor.Table{Name: name, Used: used, Most: uint64(*most)})
		}
	}
	add("services", uint64(len(services)), l.Services)
	add("replicas", n.replicas, l.Replicas)
	add("slots", n.slots, l.Slots)
	add("source_ranges", n.ranges, l.SourceRanges)
	add("flows", max(n.flows, 4*n.halfOpen), l.Flows) // there is room for a quarter as many half-open ones
	return all
}
