// Package intent is what the operator wants: the services with their names, replicas and drain
// deadlines, the interfaces to attach, and what the datapath's tables are made with. Values of this
// package are valid, or Validate says why not. It knows neither YAML nor JSON: package wire turns
// documents into intents and back.
//
// What an operator declares and what he does by hand are two things. Services declare their replicas with
// weight, state and deadline: that is the configuration, which a file or a PUT replaces. Overrides set state
// or weight of single replicas over it: who sets a replica down at night must not find it in traffic because
// somebody applied the file in the morning, or the daemon was started with it. The two are one value, and so
// one revision, but each is changed by its own requests:
//
//   - Another configuration keeps the overrides. Only a request that says so takes them back.
//   - An override goes with its replica or its service, by name and address, and follows neither to another name.
//     A replica that comes back is as it is declared.
//   - A revision that is made the intent again brings its configuration back, and not its overrides.
//   - Wanted is the configuration with the overrides over it. What is forwarded derives from that
//     (engine.Effective); what a file is compared with, and what is printed as one, is the configuration alone.
//
// Intents share their slices and maps with those that they were made from: treat them as read-only.
// Edits (WithService and its like) return a changed copy.
package intent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lbctl/lb"
	"lbctl/rss"
)

// Intent is what the operator wants.
type Intent struct {
	Datapath Datapath
	// Interfaces are the interfaces to attach, by unique name.
	Interfaces []Interface
	// Pools have unique names, in the operator's order. Services that use one have its replicas: see Linked.
	Pools []Pool
	// Services have unique names and VIPs, in the operator's order. Intents share those that are the same, so that
	// to compare and to copy a list takes little: one that is part of an intent is replaced, never written to.
	Services []*Service
	// Overrides are what was set by hand on replicas of those services, over what they declare.
	Overrides Overrides
}

// Datapath is what is fixed when the daemon starts.
type Datapath struct {
	ToeplitzKey rss.Key
	Limits      lb.Limits
	NoService   lb.NoService
}

// Equal reports whether two datapaths are made alike.
func (d Datapath) Equal(e Datapath) bool {
	return d.Limits == e.Limits && d.NoService == e.NoService && slices.Equal(d.ToeplitzKey, e.ToeplitzKey)
}

// Interface is an interface to attach, and how. The mode lb.Auto leaves the choice to the datapath.
type Interface struct {
	Name string
	Mode lb.AttachMode
}

// Default returns the intent of an operator who said nothing: no service, no
// interface, the Microsoft key, lb.DefaultLimits.
func Default() Intent {
	return Intent{Datapath: Datapath{ToeplitzKey: rss.MicrosoftKey(), Limits: lb.DefaultLimits}}
}

// Forwarded returns the services as they are declared and as the datapath takes them, in order.
func (i Intent) Forwarded() []lb.Service {
	all := make([]lb.Service, 0, len(i.Services))
	for _, s := range i.Services {
		all = append(all, s.Service)
	}
	return all
}

// References are those of Forwarded, shared with the intent.
func (i Intent) References() []*lb.Service {
	all := make([]*lb.Service, 0, len(i.Services))
	for _, s := range i.Services {
		all = append(all, &s.Service)
	}
	return all
}

// Service returns the service of a name. The error wraps lb.ErrNotFound.
func (i Intent) Service(name string) (Service, error) {
	n := i.serviceAt(name)
	if n < 0 {
		return Service{}, fmt.Errorf("service %q: %w", name, lb.ErrNotFound)
	}
	return *i.Services[n], nil
}

func (i Intent) serviceAt(name string) int {
	return slices.IndexFunc(i.Services, func(s *Service) bool { return s.Name == name })
}

// Interface returns the interface of a name, false when it is not to be attached.
func (i Intent) Interface(name string) (Interface, bool) {
	n := i.interfaceAt(name)
	if n < 0 {
		return Interface{}, false
	}
	return i.Interfaces[n], true
}

func (i Intent) interfaceAt(name string) int {
	return slices.IndexFunc(i.Interfaces, func(a Interface) bool { return a.Name == name })
}

// NameOf returns the name of the service with a VIP, "" when there is none.
func (i Intent) NameOf(vip lb.VIP) string {
	n := slices.IndexFunc(i.Services, func(s *Service) bool { return s.VIP == vip })
	if n < 0 {
		return ""
	}
	return i.Services[n].Name
}

// ByVIP returns the services by their VIP.
func (i Intent) ByVIP() map[lb.VIP]Service {
	all := make(map[lb.VIP]Service, len(i.Services))
	for _, s := range i.Services {
		all[s.VIP] = *s
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
	return i.Datapath.Equal(j.Datapath) && slices.Equal(i.Interfaces, j.Interfaces) &&
		slices.EqualFunc(i.Pools, j.Pools, Pool.Equal) && slices.EqualFunc(i.Services, j.Services, (*Service).Same) && i.Overrides.Equal(j.Overrides)
}

// NextDeadline returns the earliest drain deadline, false when there is none.
func (i Intent) NextDeadline() (next time.Time, found bool) {
	for _, s := range i.Services {
		for _, t := range s.Deadlines {
			if !found || t.Before(next) {
				next, found = t, true
			}
		}
	}
	return next, found
}

// Validate says what is wrong with an intent that was put together from valid
// parts: what they are beside each other, and the limits. That holds for what is declared, to which one may go back
// at any time, and for what is wanted. The error is an *Error.
func (i Intent) Validate() error {
	err := i.inIntent(lb.ValidateAll(i.Forwarded(), i.Datapath.Limits))
	if err != nil || len(i.Overrides) == 0 {
		return err
	}
	return i.inIntent(lb.ValidateAll(i.Wanted().Forwarded(), i.Datapath.Limits))
}

// ValidateAfter is Validate of an intent that follows a valid one: it costs little if little has
// changed.
func (i Intent) ValidateAfter(old Intent) error {
	if i.Datapath.Limits != old.Datapath.Limits {
		return i.Validate()
	}
	err := i.inIntent(lb.ValidateChange(old.References(), i.References(), i.Datapath.Limits))
	if err != nil || len(i.Overrides) == 0 {
		return err
	}
	return i.inIntent(lb.ValidateChange(old.Wanted().References(), i.Wanted().References(), i.Datapath.Limits))
}

// inIntent makes the problems of package lb those of an intent. There the VIP's address is called
// "vip" and its protocol "protocol".
func (i Intent) inIntent(err error) error {
	var found lb.Problems
	errors.As(err, &found)
	for n, p := range found {
		field := strings.Replace(p.Field, "vip.protocol", "protocol", 1)
		found[n].Field = strings.Replace(field, "vip.address", "vip", 1)
	}
	return i.Problems(found)
}

// WithService returns the intent with a service in the place of the one with its name, or at the
// end, and where it is. It is not validated beside the others.
func (i Intent) WithService(service Service) (_ Intent, at int) {
	i.Services = slices.Clone(i.Services)
	if at = i.serviceAt(service.Name); at >= 0 {
		i.Services[at] = &service
		return i, at
	}
	i.Services = append(i.Services, &service)
	return i, len(i.Services) - 1
}

// WithoutService returns the intent without the service of a name. The error wraps lb.ErrNotFound.
func (i Intent) WithoutService(name string) (Intent, error) {
	if _, err := i.Service(name); err != nil {
		return i, err
	}
	n := i.serviceAt(name)
	i.Services = slices.Delete(slices.Clone(i.Services), n, n+1)
	return i, nil
}

// WithInterface returns the intent with an interface to attach, in the place of the one with its
// name, or at the end.
func (i Intent) WithInterface(a Interface) Intent {
	i.Interfaces = slices.Clone(i.Interfaces)
	if n := i.interfaceAt(a.Name); n >= 0 {
		i.Interfaces[n] = a
	} else {
		i.Interfaces = append(i.Interfaces, a)
	}
	return i
}

// WithoutInterface returns the intent without the interface of a name. The error wraps lb.ErrNotFound.
func (i Intent) WithoutInterface(name string) (Intent, error) {
	n := i.interfaceAt(name)
	if n < 0 {
		return i, fmt.Errorf("interface %q: %w", name, lb.ErrNotFound)
	}
	i.Interfaces = slices.Delete(slices.Clone(i.Interfaces), n, n+1)
	return i, nil
}
