package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/config"
	"lbctl/lb"
)

// ReplicaPath is the part of a path that names a replica.
type ReplicaPath struct {
	ServicePath
	Address string `path:"address" doc:"Address and port." example:"10.1.0.1:8080"`
}

type replicaInput struct {
	Conditional
	ReplicaPath
}

type putReplicaInput struct {
	Conditional
	ReplicaPath
	Body api.Weight
}

func (s *Server) replicaRoutes(a huma.API) {
	register(a, "list-replicas", http.MethodGet, "/v1/services/{name}/replicas", "The replicas of a service",
		func(_ context.Context, in *ServicePath) (*answer[api.Replicas], error) {
			now := s.keeper.now.Load()
			service, err := find(now.Intent, in.Name)
			wire := config.WireService(service.Name, service.Service)
			return answerAt(now.Revision, api.Replicas{Replicas: wire.Replicas}), err
		})
	register(a, "put-replica", http.MethodPut, "/v1/services/{name}/replicas/{address}", "Add a replica, at the end, or change its weight",
		func(ctx context.Context, in *putReplicaInput) (*answer[api.Change], error) {
			return s.change(ctx, in.Conditional, putReplica(in.Name, in.Address, in.Body.Weight))
		})
	register(a, "delete-replica", http.MethodDelete, "/v1/services/{name}/replicas/{address}", "Remove a replica",
		func(ctx context.Context, in *replicaInput) (*answer[api.Change], error) {
			return s.change(ctx, in.Conditional, deleteReplica(in.Name, in.Address))
		})
}

func putReplica(name, address string, weight *int64) edit {
	return editReplicas(name, address, func(replicas []lb.Replica, n int) ([]lb.Replica, error) {
		r, err := config.ResolveReplica(api.Replica{Address: address, Weight: weight})
		if n < 0 {
			return append(replicas, r), err
		}
		replicas[n] = r
		return replicas, err
	})
}

func deleteReplica(name, address string) edit {
	return editReplicas(name, address, func(replicas []lb.Replica, n int) ([]lb.Replica, error) {
		if n < 0 {
			return nil, fmt.Errorf("replica %s of service %s: %w", address, name, lb.ErrNotFound)
		}
		return slices.Delete(replicas, n, n+1), nil
	})
}

// editReplicas edits a copy of a service's replicas, given the index of the one with
// the address, -1 if there is none.
func editReplicas(name, address string, edit func([]lb.Replica, int) ([]lb.Replica, error)) edit {
	return func(i config.Intent) (config.Intent, error) {
		service, err := find(i, name)
		if err != nil {
			return i, err
		}
		r, err := config.ResolveReplica(api.Replica{Address: address})
		if err != nil {
			return i, err
		}
		n := slices.IndexFunc(service.Replicas, func(have lb.Replica) bool { return have.Address == r.Address })
		if service.Replicas, err = edit(slices.Clone(service.Replicas), n); err != nil {
			return i, err
		}
		if service.Scheduler == lb.Modulo {
			service.TableSize = uint32(len(service.Replicas))
		}
		return i.WithService(service)
	}
}
