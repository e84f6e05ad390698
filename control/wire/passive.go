package wire

import (
	"time"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// What a passive check may ask for.
const (
	minWindow, maxWindow, defaultWindow       = time.Second, time.Hour, 10 * time.Second
	minEjection, maxEjection, defaultEjection = time.Second, time.Hour, 30 * time.Second
	defaultNewFlows, maxNewFlows              = 20, 1_000_000
	defaultPercent, defaultMostPercent        = 50, 50
)

// resolvePassive makes what the traffic of a service says of its replicas. It refuses what would never say anything.
func resolvePassive(ps *intent.Problems, field string, d *api.HealthCheck, of lb.Service, c *intent.Check) {
	p := d.Passive
	switch {
	case p == nil && c.Type != intent.CheckPassive:
		return
	case p == nil:
		field, p = field+"type", &api.PassiveCheck{}
	default:
		field += "passive"
	}
	switch {
	case of.Mode != lb.NAT:
		ps.Add(field, "use mode: nat, or a check that asks, type: tcp for instance", "mode %v: replicas answer clients directly, and the balancer sees no reset", of.Mode)
	case of.VIP.Protocol == packet.UDP:
		ps.Add(field, "use a check that asks, type: udp for instance", "protocol %v has no resets", of.VIP.Protocol)
	}
	field += "."
	c.Passive = intent.Passive{
		Counts:      choice(ps, field+"counts", p.Counts, intent.Refusals, intent.ParsePassiveCount, intent.Refusals, intent.Resets),
		Percent:     uint16(within(ps, field+"percent", p.Percent, defaultPercent, 1, 100)),
		NewFlows:    uint32(within(ps, field+"new_flows", p.NewFlows, defaultNewFlows, 1, maxNewFlows)),
		Window:      timeSpan(ps, field+"window", p.Window, defaultWindow, minWindow, maxWindow),
		Ejection:    timeSpan(ps, field+"ejection", p.Ejection, defaultEjection, minEjection, maxEjection),
		MostPercent: uint16(within(ps, field+"max_ejected_percent", p.MaxEjectedPercent, defaultMostPercent, 1, 100)),
	}
}

// passive writes it with every default, nil for none.
func passive(p intent.Passive) *api.PassiveCheck {
	if p == (intent.Passive{}) {
		return nil
	}
	return &api.PassiveCheck{
		Counts: p.Counts.String(), Percent: number(p.Percent), NewFlows: number(p.NewFlows), Window: span(p.Window), Ejection: span(p.Ejection),
		MaxEjectedPercent: number(p.MostPercent),
	}
}
