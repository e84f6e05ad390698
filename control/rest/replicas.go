package rest

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/control/wire"
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
	Body api.ReplicaSpec
}

func (s *Server) replicaRoutes(a huma.API) {
	register(a, "list-replicas", http.MethodGet, "/v1/services/{name}/replicas", "The replicas of a service and what is remembered of their flows",
		func(_ context.Context, in *ServicePath) (*answer[api.Replicas], error) {
			now, service, flows, err := s.flowsOf(in.Name)
			return answerAt(now.Number, api.Replicas{Replicas: wireStatus(service, flows)}), err
		})
	register(a, "put-replica", http.MethodPut, "/v1/services/{name}/replicas/{address}", "Add a replica, at the end, or change its weight, state and deadline",
		func(ctx context.Context, in *putReplicaInput) (*answer[api.Change], error) {
			return s.change(ctx, in.Conditional, putReplica(in.Name, in.Address, in.Body))
		})
	register(a, "delete-replica", http.MethodDelete, "/v1/services/{name}/replicas/{address}", "Remove a replica",
		func(ctx context.Context, in *replicaInput) (*answer[api.Change], error) {
			return s.change(ctx, in.Conditional, deleteReplica(in.Name, in.Address))
		})
}

func putReplica(name, address string, t api.ReplicaSpec) edit {
	doc := api.Replica{Address: address, Weight: t.Weight, State: t.State, DrainUntil: t.DrainUntil}
	return editService(name, doc, func(s intent.Service, r intent.Replica) (intent.Service, error) {
		return s.WithReplica(r), nil
	})
}

func deleteReplica(name, address string) edit {
	return editService(name, api.Replica{Address: address}, func(s intent.Service, r intent.Replica) (intent.Service, error) {
		s, had := s.WithoutReplica(r.Address)
		if !had {
			return s, fmt.Errorf("replica %s of service %s: %w", address, name, lb.ErrNotFound)
		}
		return s, nil
	})
}

// editService edits a service, given a replica of a document.
func editService(name string, doc api.Replica, change func(intent.Service, intent.Replica) (intent.Service, error)) edit {
	return func(i intent.Intent) (intent.Intent, error) {
		service, err := i.Service(name)
		if err != nil {
			return i, err
		}
		r, err := wire.ResolveReplica(doc)
		if err != nil {
			return i, inPath(err, "address")
		}
		if service, err = change(service, r); err != nil {
			return i, err
		}
		return i.WithService(service)
	}
}
