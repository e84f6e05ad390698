package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/control/store"
	"lbctl/control/wire"
	"lbctl/lb"
)

// ServicePath is the part of a path that names a service.
type ServicePath struct {
	Name string `path:"name" doc:"The service's name." example:"web"`
}

type deleteServiceInput struct {
	Conditional
	ServicePath
}

type putServiceInput struct {
	Conditional
	ServicePath
	Body api.ServiceStatus
}

func (s *Server) serviceRoutes(a huma.API) {
	register(a, "list-services", http.MethodGet, "/v1/services", "All services",
		func(context.Context, *struct{}) (*answer[api.Services], error) {
			now := s.keeper.now.Load()
			return answerAt(now.Number, api.Services{Services: wire.Config(now.Intent).Services}), nil
		})
	register(a, "get-service", http.MethodGet, "/v1/services/{name}", "One service",
		func(_ context.Context, in *ServicePath) (*answer[api.ServiceStatus], error) {
			now, service, flows, err := s.flowsOf(in.Name)
			return answerAt(now.Number, api.ServiceStatus{Service: wire.Service(service), SlotsInTransition: flows.InTransition}), err
		})
	register(a, "put-service", http.MethodPut, "/v1/services/{name}", "Add or replace one service",
		func(ctx context.Context, in *putServiceInput) (*answer[api.Change], error) {
			return s.change(ctx, in.Conditional, putService(in.Name, in.Body.Service))
		})
	register(a, "delete-service", http.MethodDelete, "/v1/services/{name}", "Remove one service",
		func(ctx context.Context, in *deleteServiceInput) (*answer[api.Change], error) {
			return s.change(ctx, in.Conditional, deleteService(in.Name))
		})
}

// flowsOf returns a service and what is remembered of its flows.
func (s *Server) flowsOf(name string) (*store.Revision, intent.Service, lb.Flows, error) {
	now := s.keeper.now.Load()
	service, err := now.Intent.Service(name)
	if err != nil {
		return now, service, lb.Flows{}, err
	}
	flows, err := s.keeper.dp.Flows()
	return now, service, flows[service.VIP], err
}

// putService adds a service at the end, or replaces the one with its name in its place.
func putService(name string, doc api.Service) edit {
	return func(i intent.Intent) (intent.Intent, error) {
		if doc.Name != name {
			return i, invalid("name", "want the name in the path, "+name, "%q", doc.Name)
		}
		service, err := wire.ResolveService(doc)
		if err != nil {
			return i, err
		}
		return i.WithService(service)
	}
}

func deleteService(name string) edit {
	return func(i intent.Intent) (intent.Intent, error) { return i.WithoutService(name) }
}

// invalid is one wrong field of a body.
func invalid(field, hint, reason string, args ...any) error {
	var ps intent.Problems
	ps.Add(field, hint, reason, args...)
	return ps.Err()
}
