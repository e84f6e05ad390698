package config

import (
	"strings"
	"time"

	"lbctl/control/api"
	"lbctl/control/reconcile"
	"lbctl/lb"
)

// Wire returns the intent as a document in which every default is written out.
// Resolve of it gives the intent again.
func (i Intent) Wire() api.Config {
	key := i.Datapath.ToeplitzKey.String()
	limits := i.Datapath.Limits
	c := api.Config{
		Datapath: &api.Datapath{ToeplitzKey: &key, Limits: &api.Limits{
			Services: number(limits.Services), Replicas: number(limits.Replicas), Slots: number(limits.Slots),
			Flows: number(limits.Flows),
		}},
		Interfaces: make([]api.Interface, 0, len(i.Interfaces)),
		Services:   make([]api.Service, 0, len(i.Services)),
	}
	for _, a := range i.Interfaces {
		c.Interfaces = append(c.Interfaces, wireInterface(a))
	}
	for _, s := range i.Services {
		c.Services = append(c.Services, s.Wire())
	}
	return c
}

func wireInterface(a reconcile.Attachment) api.Interface {
	return api.Interface{Name: a.Name, Mode: a.Mode.String()}
}

// WireService returns a service as a document, without deadlines.
func WireService(name string, s lb.Service) api.Service {
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

// Wire returns the service as a document, with its deadlines.
func (s Service) Wire() api.Service {
	w := WireService(s.Name, s.Service)
	for n, r := range s.Replicas {
		w.Replicas[n].DrainUntil = s.deadline(r.Address)
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
