package engine

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"lbctl/control/intent"
	"lbctl/control/store"
	"lbctl/lb"
)

// still is a datapath that has what it is told and does nothing with it.
type still struct {
	lb.Dataplane
	at       map[lb.VIP]int
	services []lb.Service
}

func (s *still) Events() <-chan lb.Event             { return nil }
func (s *still) Services() ([]lb.Service, error)     { return s.services, nil }
func (s *still) Interfaces() ([]lb.Interface, error) { return nil, nil }

func (s *still) SetService(_ context.Context, service lb.Service) error {
	if n, there := s.at[service.VIP]; there {
		s.services[n] = service
		return nil
	}
	s.at[service.VIP] = len(s.services)
	s.services = append(s.services, service)
	return nil
}

// BenchmarkChangeOfOneReplica is what a change of one replica takes from the request to the store, the
// datapath apart: intent, validation, plan, and a write that is synced.
func BenchmarkChangeOfOneReplica(b *testing.B) {
	for _, size := range []struct{ services, replicas int }{{1000, 100}, {10000, 10}} {
		b.Run(fmt.Sprintf("%dx%d", size.services, size.replicas), func(b *testing.B) {
			i := intent.Default()
			i.Datapath.Limits = lb.Limits{Services: 1 << 16, Replicas: 1 << 20, Slots: 1 << 27, Flows: 1 << 20}
			for n := range size.services {
				i.Services = append(i.Services, intent.List(many(n, size.replicas))...)
			}
			kept, err := store.Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer kept.Close()
			e, err := Start(b.Context(), Options{Dataplane: &still{at: map[lb.VIP]int{}}, Store: kept}, i)
			if err != nil {
				b.Fatal(err)
			}
			for n := 0; b.Loop(); n++ {
				state := []lb.ReplicaState{lb.Down, lb.Active}[n%2]
				_, _, err := e.Change(b.Context(), Change{Edit: func(i intent.Intent) (intent.Intent, error) {
					s := i.Services[size.services/2]
					r := s.AllReplicas()[0]
					r.State = state
					return with(i, s.WithReplica(r))
				}})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// many returns service n with replicas of its own.
func many(n, replicas int) intent.Service {
	s := lb.Service{VIP: lb.VIP{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), 80), Protocol: 6}, Mode: lb.NAT}
	for r := range replicas {
		a := netip.AddrFrom4([4]byte{10, byte(r), byte(n >> 8), byte(n)})
		s.Replicas = append(s.Replicas, lb.Replica{Address: netip.AddrPortFrom(a, 80), Weight: 1})
	}
	return intent.Service{Name: fmt.Sprintf("s%d", n), Service: s.WithDefaults()}
}
