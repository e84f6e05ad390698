package config

import (
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
		}},
		Interfaces: make([]api.Interface, 0, len(i.Interfaces)),
		Services:   make([]api.Service, 0, len(i.Services)),
	}
	for _, a := range i.Interfaces {
		c.Interfaces = append(c.Interfaces, wireInterface(a))
	}
	for _, s := range i.Services {
		c.Services = append(c.Services, WireService(s.Name, s.Service))
	}
	return c
}

func wireInterface(a reconcile.Attachment) api.Interface {
	return api.Interface{Name: a.Name, Mode: a.Mode.String()}
}

// WireService returns a service as a document.
func WireService(name string, s lb.Service) api.Service {
	w := api.Service{
		Name:      name,
		VIP:       s.VIP.Address.String(),
		Protocol:  s.VIP.Protocol.String(),
		Mode:      s.Mode.String(),
		Scheduler: s.Scheduler.String(),
		Hash:      s.Hash.String(),
		Seed:      int64(s.Seed),
		Replicas:  make([]api.Replica, 0, len(s.Replicas)),
	}
	if s.Scheduler == lb.Maglev {
		w.TableSize = number(s.TableSize)
	}
	for _, r := range s.Replicas {
		w.Replicas = append(w.Replicas, WireReplica(r))
	}
	return w
}

// WireReplica returns a replica as a document.
func WireReplica(r lb.Replica) api.Replica {
	return api.Replica{Address: r.Address.String(), Weight: number(r.Weight)}
}

func number[T uint16 | uint32](n T) *int64 {
	i := int64(n)
	return &i
}
