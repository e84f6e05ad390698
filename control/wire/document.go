package wire

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/lb"
)

// Config returns an intent as a document in which every default is written out.
// Resolve of it gives the intent again.
func Config(i intent.Intent) api.Config {
	key := i.Datapath.ToeplitzKey.String()
	limits := i.Datapath.Limits
	c := api.Config{
		Datapath: &api.Datapath{ToeplitzKey: &key, Limits: &api.Limits{
			Services: number(limits.Services), Replicas: number(limits.Replicas), Slots: number(limits.Slots),
			Flows: number(limits.Flows), SourceRanges: number(limits.SourceRanges),
		}, VIPNoService: i.Datapath.NoService.String()},
		Interfaces: make([]api.Interface, 0, len(i.Interfaces)),
		Services:   make([]api.Service, 0, len(i.Services)),
	}
	for _, a := range i.Interfaces {
		c.Interfaces = append(c.Interfaces, api.Interface{Name: a.Name, Mode: a.Mode.String()})
	}
	for _, p := range i.Pools {
		c.Pools = append(c.Pools, Pool(p))
	}
	for _, s := range i.Services {
		c.Services = append(c.Services, Service(*s))
	}
	return c
}

// NamedService returns a service of the datapath as a document: it has no deadlines and no check.
func NamedService(name string, s lb.Service) api.Service {
	w := api.Service{
		Name:      name,
		VIP:       s.VIP.Address.String(),
		Protocol:  s.VIP.Protocol.String(),
		Mode:      s.Mode.String(),
		Scheduler: s.Scheduler.String(),
		Hash:      s.Hash.String(),
		Seed:      int64(s.Seed),
		Tracking:  s.Tracking.String(),
		Replicas:  make([]api.Replica, 0, len(s.Replicas)),
	}
	w.EndPort = EndPort(s)
	if s.Mode == lb.IPIP {
		w.Encapsulation, w.TunnelSources = s.Encapsulation.String(), s.SourcesText()
	}
	w.SourceRanges, w.RateLimit = sourceRangesOf(s), rateLimitOf(s.RateLimit)
	if s.TunnelPort != 0 {
		w.TunnelPort = number(s.TunnelPort)
	}
	if s.Scheduler == lb.Maglev {
		w.TableSize = number(s.TableSize)
	}
	if s.Tracking != lb.Stateless {
		w.Idle = span(s.Idle)
	}
	for _, r := range s.Replicas {
		w.Replicas = append(w.Replicas, api.Replica{Address: r.Address.String(), Weight: number(r.Weight), State: r.State.String()})
	}
	return w
}

// Endpoint returns where clients find a service.
func Endpoint(s lb.Service) api.Endpoint {
	return api.Endpoint{VIP: s.VIP.Address.String(), EndPort: EndPort(s), Protocol: s.VIP.Protocol.String()}
}

// EndPort returns the last port of a service that has several, nil of another.
func EndPort(s lb.Service) *int64 {
	if s.EndPort == 0 {
		return nil
	}
	return number(s.EndPort)
}

// Service returns a service as it is declared, with its deadlines and its check: one that uses a pool names it, and has no replicas.
func Service(s intent.Service) api.Service {
	if s.Pool != "" {
		s.Replicas = nil
	}
	w := Shown(s)
	if s.Pool != "" {
		w.Replicas = nil
	}
	return w
}

// Shown is Service for who looks at it: one that uses a pool has its replicas, too.
func Shown(s intent.Service) api.Service {
	w := NamedService(s.Name, s.Service)
	w.Pool = s.Pool
	w.Health = health(s.Health)
	for n, r := range s.Replicas {
		w.Replicas[n].DrainUntil = deadlineOf(s, r.Address)
	}
	return w
}

// span writes a time span without the units that are zero: "10m", not "10m0s".
func span(d time.Duration) api.Duration {
	text := d.String()
	if s, cut := strings.CutSuffix(text, "m0s"); cut {
		text = s + "m"
	}
	if s, cut := strings.CutSuffix(text, "h0m"); cut {
		text = s + "h"
	}
	return api.Duration(text)
}

func number[T uint16 | uint32](n T) *int64 {
	i := int64(n)
	return &i
}

// Changes returns the differences between what two intents want that no step of a datapath shows: names of services,
// how health is checked, pools, drain deadlines, and requested modes of interfaces.
func Changes(old, next intent.Intent) []api.FieldChange {
	var all []api.FieldChange
	old, next = old.Wanted(), next.Wanted()
	add := func(before, after, field string, args ...any) {
		if before != after {
			all = append(all, api.FieldChange{Field: fmt.Sprintf(field, args...), Before: before, After: after})
		}
	}
	had, none := old.Lookup(), &intent.Service{}
	for n, s := range next.Services {
		was := had(n, s.VIP)
		if was == s {
			continue
		}
		if was == nil {
			was = none
		} else {
			add(was.Name, s.Name, "services[%s].name", was.Name)
			healthChanges(was.Health, s.Health, func(field, before, after string) {
				add(before, after, "services[%s].health.%s", s.Name, field)
			})
		}
		add(was.Pool, s.Pool, "services[%s].pool", s.Name)
		if len(was.Deadlines)+len(s.Deadlines) == 0 || s.Pool != "" && s.Pool == was.Pool {
			continue // the pool tells those of its replicas
		}
		for _, r := range s.Replicas {
			add(deadlineOf(*was, r.Address), deadlineOf(*s, r.Address), "services[%s].replicas[%v].drain_until", s.Name, r.Address)
		}
	}
	all = append(all, poolChanges(old, next)...)
	asked := modes(old.Interfaces)
	for _, i := range next.Interfaces {
		if was, there := asked[i.Name]; there {
			add(was, i.Mode.String(), "interfaces[%s].mode", i.Name)
		}
	}
	return all
}

// deadlineOf returns the drain deadline of a replica as a document has it, "" for none.
func deadlineOf(s intent.Service, replica netip.AddrPort) string {
	return timeText(s.Deadlines[replica])
}

// timeText writes a time, "" for none.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

func modes(all []intent.Interface) map[string]string {
	m := make(map[string]string, len(all))
	for _, a := range all {
		m[a.Name] = a.Mode.String()
	}
	return m
}
