package config

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"lbctl/control/reconcile"
	"lbctl/lb"
	"lbctl/rss"
)

// Intent is what the operator wants, valid. Values that Resolve or Default
// returned share nothing that anybody changes: treat them as read-only.
type Intent struct {
	Datapath Datapath
	// Interfaces are the interfaces to attach, by unique name.
	Interfaces []reconcile.Attachment
	// Services have unique names and VIPs, in the operator's order.
	Services []Service
}

// Datapath is what is fixed when the tables are made.
type Datapath struct {
	ToeplitzKey rss.Key
	Limits      lb.Limits
}

// Service is a service, its name and the deadlines of its replicas.
type Service struct {
	Name string
	lb.Service
	// Deadlines are when draining replicas are set down, by their address: whole seconds, UTC.
	// Replicas that it does not name drain without end.
	Deadlines map[netip.AddrPort]time.Time
}

// Default returns the intent of an operator who said nothing: no service, no
// interface, the Microsoft key, lb.DefaultLimits.
func Default() Intent {
	return Intent{Datapath: Datapath{ToeplitzKey: rss.MicrosoftKey(), Limits: lb.DefaultLimits}}
}

// State returns what the datapath is to forward.
func (i Intent) State() reconcile.State {
	s := reconcile.State{Interfaces: slices.Clone(i.Interfaces)}
	for _, service := range i.Services {
		s.Services = append(s.Services, service.Service)
	}
	return s
}

// Find returns the service of a name.
func (i Intent) Find(name string) (Service, bool) {
	n := slices.IndexFunc(i.Services, func(s Service) bool { return s.Name == name })
	if n < 0 {
		return Service{}, false
	}
	return i.Services[n], true
}

// NameOf returns the name of the service with a VIP, "" when there is none.
func (i Intent) NameOf(vip lb.VIP) string {
	n := slices.IndexFunc(i.Services, func(s Service) bool { return s.VIP == vip })
	if n < 0 {
		return ""
	}
	return i.Services[n].Name
}

// ByVIP returns the services by their VIP.
func (i Intent) ByVIP() map[lb.VIP]Service {
	all := make(map[lb.VIP]Service, len(i.Services))
	for _, s := range i.Services {
		all[s.VIP] = s
	}
	return all
}

// Names returns the name of every service by its VIP.
func (i Intent) Names() map[lb.VIP]string {
	names := make(map[lb.VIP]string, len(i.Services))
	for _, s := range i.Services {
		names[s.VIP] = s.Name
	}
	return names
}

// Equal reports whether two intents say the same.
func (i Intent) Equal(j Intent) bool {
	return i.Datapath.Limits == j.Datapath.Limits && slices.Equal(i.Datapath.ToeplitzKey, j.Datapath.ToeplitzKey) &&
		slices.Equal(i.Interfaces, j.Interfaces) && slices.EqualFunc(i.Services, j.Services, Service.Says)
}

// Says reports whether two services say the same.
func (s Service) Says(t Service) bool {
	return s.Name == t.Name && s.SameAs(t.Service) && maps.EqualFunc(s.Deadlines, t.Deadlines, time.Time.Equal)
}
