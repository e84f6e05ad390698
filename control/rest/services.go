package rest

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
)

// ServicePath is the part of a path that names a service.
type ServicePath struct {
	Name string `path:"name" doc:"The service's name." example:"web"`
}

func (p ServicePath) exists(i intent.Intent) bool {
	_, err := i.Service(p.Name)
	return err == nil
}

type deleteServiceInput struct {
	Conditional
	DryRun
	ServicePath
}

type putServiceInput struct {
	Conditional
	DryRun
	ServicePath
	Document[api.ServiceStatus]
}

type patchServiceInput struct {
	Conditional
	DryRun
	ServicePath
	Patch[api.Service]
}

func (s *Server) serviceRoutes(a huma.API) {
	register(a, "list-services", http.MethodGet, "/v1/services", "All services, replicas in the state that the operator gave them",
		func(_ context.Context, in *ServicePage) (*answer[api.Services], error) {
			now := s.engine.Now()
			part, next, err := s.servicesOf(*in, now)
			all := api.Services{Services: make([]api.Service, 0, len(part)), Next: next}
			for _, n := range part {
				all.Services = append(all.Services, wire.Shown(*now.Given.Services[n]))
			}
			return answerAt(now.Number, all), err
		})
	register(a, "get-service", http.MethodGet, "/v1/services/{name}", "One service as it is declared",
		func(_ context.Context, in *ServicePath) (*answer[api.ServiceStatus], error) {
			now := s.engine.Now()
			n, err := s.placeOf(now.Intent, in.Name)
			if err != nil {
				return nil, err
			}
			service := now.Intent.Services[n] // what can be put back, and not what was set by hand
			slots, err := s.engine.Observe().InTransition(service.VIP)
			return answerAt(now.Number, api.ServiceStatus{Service: wire.Service(*service), SlotsInTransition: slots}), err
		})
	register(a, "put-service", http.MethodPut, "/v1/services/{name}", "Add or replace one service",
		func(ctx context.Context, in *putServiceInput) (*answer[api.Change], error) {
			return s.changeService(ctx, in.DryRun, in.allows(in.exists), "put service "+in.Name, putService(in.Name, in.value.Service))
		})
	register(a, "patch-service", http.MethodPatch, "/v1/services/{name}", "Change some fields of one service",
		func(ctx context.Context, in *patchServiceInput) (*answer[api.Change], error) {
			return s.changeService(ctx, in.DryRun, in.allowsPatch(in.exists), "patch service "+in.Name, func(i intent.Intent) (intent.Service, error) {
				service, err := i.Service(in.Name)
				if err != nil {
					return service, err
				}
				doc, err := in.patched(wire.Service(service))
				if err != nil {
					return service, err
				}
				return putService(in.Name, doc)(i)
			})
		})
	register(a, "delete-service", http.MethodDelete, "/v1/services/{name}", "Remove one service",
		func(ctx context.Context, in *deleteServiceInput) (*answer[api.Change], error) {
			return s.changeOrPlan(ctx, in.DryRun, in.allows(in.exists), engine.Change{Reason: "delete service " + in.Name, Edit: func(i intent.Intent) (intent.Intent, error) {
				return i.WithoutService(in.Name)
			}})
		})
}

// flowsOf returns a service as the operator wants it now and what is recorded of its flows.
func (s *Server) flowsOf(name string) (*engine.Snapshot, intent.Service, lb.Flows, error) {
	now := s.engine.Now()
	service, err := now.Given.Service(name)
	if err != nil {
		return now, service, lb.Flows{}, err
	}
	flows, err := s.engine.Observe().Flows(service.VIP)
	return now, service, flows[service.VIP], err
}

// serviceEdit makes a service: a new one, or a changed one of the intent.
type serviceEdit func(intent.Intent) (intent.Service, error)

// changeService puts a service in the place of the one with its name, or at the end. Errors name fields as
// they are called in the service.
func (s *Server) changeService(ctx context.Context, dry DryRun, match func(*engine.Snapshot) error, reason string, edit serviceEdit) (*answer[api.Change], error) {
	at := 0
	done, err := s.changeOrPlan(ctx, dry, match, engine.Change{Reason: reason, Edit: func(i intent.Intent) (intent.Intent, error) {
		service, err := edit(i)
		if err != nil {
			return i, err
		}
		i, at = i.WithService(service)
		return i, nil
	}})
	return done, intent.InService(err, at)
}

func putService(name string, doc api.Service) serviceEdit {
	return func(intent.Intent) (intent.Service, error) {
		if doc.Name != name {
			var ps intent.Problems
			ps.Add("name", "want the name in the path, "+name, "%q", doc.Name)
			return intent.Service{}, ps.Err()
		}
		return wire.ResolveService(doc)
	}
}

// ReplicaPath is the part of a path that names a replica.
type ReplicaPath struct {
	ServicePath
	Address string `path:"address" doc:"Address and port." example:"10.1.0.1:8080"`
}

// reason is what a change of the replica is for.
func (p ReplicaPath) reason(verb string) string {
	return fmt.Sprintf("%s replica %s of service %s", verb, p.Address, p.Name)
}

func (p ReplicaPath) exists(i intent.Intent) bool {
	s, err := i.Service(p.Name)
	address, wrong := netip.ParseAddrPort(p.Address)
	if err != nil || wrong != nil {
		return false
	}
	_, there := s.State(address)
	return there
}

type replicaInput struct {
	Conditional
	DryRun
	ReplicaPath
}

type putReplicaInput struct {
	Conditional
	DryRun
	ReplicaPath
	Document[api.ReplicaSpec]
}

type patchReplicaInput struct {
	Conditional
	DryRun
	ReplicaPath
	Patch[api.ReplicaSpec]
}

// of returns a replica as a service has it; of one that there is not, its address.
func (p ReplicaPath) of(s intent.Service) api.Replica {
	address, _ := netip.ParseAddrPort(p.Address)
	doc := wire.Shown(s)
	for n, r := range s.Replicas {
		if r.Address == address {
			return doc.Replicas[n]
		}
	}
	return api.Replica{Address: p.Address}
}

func (s *Server) replicaRoutes(a huma.API) {
	register(a, "list-replicas", http.MethodGet, "/v1/services/{name}/replicas", "The replicas of a service and what is recorded of their flows, counted anew in all records: /v1/replicas?service= does without",
		func(_ context.Context, in *ServicePath) (*answer[api.Replicas], error) {
			now, service, flows, err := s.flowsOf(in.Name)
			if err != nil {
				return nil, err
			}
			declared, err := now.Intent.Service(in.Name)
			if err != nil {
				return nil, err
			}
			condition, err := s.engine.Observe().Condition()
			return answerAt(now.Number, api.Replicas{Replicas: s.wireStatus(now, service, s.notesOf(now, declared), flows, condition)}), err
		})
	register(a, "put-replica", http.MethodPut, "/v1/services/{name}/replicas/{address}", "Add a replica, at the end, or change its weight, state and deadline",
		func(ctx context.Context, in *putReplicaInput) (*answer[api.Change], error) {
			return s.changeService(ctx, in.DryRun, in.allows(in.exists), in.reason("put"), putReplica(in.Name, in.Address, in.value))
		})
	register(a, "patch-replica", http.MethodPatch, "/v1/services/{name}/replicas/{address}", "Change some of weight, state and deadline of a replica",
		func(ctx context.Context, in *patchReplicaInput) (*answer[api.Change], error) {
			return s.changeService(ctx, in.DryRun, in.allowsPatch(in.exists), in.reason("patch"), func(i intent.Intent) (intent.Service, error) {
				service, err := i.Service(in.Name)
				if err == nil && !in.exists(i) {
					err = fmt.Errorf("replica %s of service %s: %w", in.Address, in.Name, lb.ErrNotFound)
				}
				if err != nil {
					return service, err
				}
				r := in.of(service)
				spec, err := in.patched(api.ReplicaSpec{Weight: r.Weight, State: r.State, DrainUntil: r.DrainUntil})
				if err != nil {
					return service, err
				}
				return putReplica(in.Name, in.Address, spec)(i)
			})
		})
	register(a, "delete-replica", http.MethodDelete, "/v1/services/{name}/replicas/{address}", "Remove a replica",
		func(ctx context.Context, in *replicaInput) (*answer[api.Change], error) {
			return s.changeService(ctx, in.DryRun, in.allows(in.exists), in.reason("delete"), deleteReplica(in.Name, in.Address))
		})
}

func putReplica(name, address string, t api.ReplicaSpec) serviceEdit {
	doc := api.Replica{Address: address, Weight: t.Weight, State: t.State, DrainUntil: t.DrainUntil}
	return editService(name, doc, func(s intent.Service, r intent.Replica) (intent.Service, error) {
		return s.WithReplica(r), nil
	})
}

func deleteReplica(name, address string) serviceEdit {
	return editService(name, api.Replica{Address: address}, func(s intent.Service, r intent.Replica) (intent.Service, error) {
		s, had := s.WithoutReplica(r.Address)
		if !had {
			return s, fmt.Errorf("replica %s of service %s: %w", address, name, lb.ErrNotFound)
		}
		return s, nil
	})
}

// editService edits a service by a change of one replica, which a request describes.
func editService(name string, doc api.Replica, change func(intent.Service, intent.Replica) (intent.Service, error)) serviceEdit {
	return func(i intent.Intent) (intent.Service, error) {
		service, err := i.Service(name)
		if err == nil && service.Pool != "" {
			err = &intent.PoolError{Service: name, Pool: service.Pool}
		}
		if err != nil {
			return service, err
		}
		r, err := wire.ResolveReplica(doc)
		if err != nil {
			return service, inPath(err, "address")
		}
		return change(service, r)
	}
}
