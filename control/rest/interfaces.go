package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/wire"
)

// InterfacePath is the part of a path that names an interface.
type InterfacePath struct {
	Name string `path:"name" doc:"The kernel's name of the interface." example:"eth0"`
}

func (p InterfacePath) exists(i intent.Intent) bool {
	_, wanted := i.Interface(p.Name)
	return wanted
}

type interfaceInput struct {
	Conditional
	DryRun
	InterfacePath
}

type putInterfaceInput struct {
	Conditional
	DryRun
	InterfacePath
	Document[api.Mode]
}

func (s *Server) interfaceRoutes(a huma.API) {
	register(a, "list-interfaces", http.MethodGet, "/v1/interfaces", "The interfaces that are wanted, attached or missing",
		func(context.Context, *struct{}) (*answer[api.Interfaces], error) {
			status, err := s.engine.Status()
			return answerAt(status.Revision, wireInterfaces(status.Interfaces)), err
		})
	register(a, "put-interface", http.MethodPut, "/v1/interfaces/{name}", "Attach an interface",
		func(ctx context.Context, in *putInterfaceInput) (*answer[api.Change], error) {
			return s.changeOrPlan(ctx, in.DryRun, in.allows(in.exists), engine.Change{Reason: "attach " + in.Name, Edit: attach(in.Name, in.value.Mode), Attach: in.Name})
		})
	register(a, "delete-interface", http.MethodDelete, "/v1/interfaces/{name}", "Detach an interface",
		func(ctx context.Context, in *interfaceInput) (*answer[api.Change], error) {
			return s.changeOrPlan(ctx, in.DryRun, in.allows(in.exists), engine.Change{Reason: "detach " + in.Name, Edit: detach(in.Name)})
		})
}

// wireInterfaces lists by name.
func wireInterfaces(all []engine.InterfaceStatus) api.Interfaces {
	list := api.Interfaces{Interfaces: make([]api.InterfaceStatus, 0, len(all))}
	for _, i := range all {
		status := api.InterfaceStatus{
			Name: i.Name, State: "attached", IfIndex: i.Attached.Index, Mode: i.Attached.Mode.String(),
			RequestedMode: i.Wanted.String(), Reason: i.Reason,
		}
		if i.Attached.Mode == "" {
			status.State = "missing"
		}
		list.Interfaces = append(list.Interfaces, status)
	}
	return list
}

// attach adds an interface, or changes its mode.
func attach(name, mode string) edit {
	return func(i intent.Intent) (intent.Intent, error) {
		a, err := wire.ResolveInterface(api.Interface{Name: name, Mode: mode})
		if err != nil {
			return i, inPath(err, "name")
		}
		return i.WithInterface(a), nil
	}
}

func detach(name string) edit {
	return func(i intent.Intent) (intent.Intent, error) { return i.WithoutInterface(name) }
}

func (s *Server) healthRoutes(a huma.API) {
	register(a, "healthz", http.MethodGet, "/healthz", "The daemon answers",
		func(context.Context, *struct{}) (*answer[api.Health], error) {
			revision := s.engine.Now().Number
			return answerAt(revision, api.Health{Status: "ok", Revision: revision}), nil
		})
	register(a, "readyz", http.MethodGet, readyPath, "The datapath forwards as intended",
		func(context.Context, *struct{}) (*answer[api.Health], error) {
			now, err := s.engine.Status()
			if err != nil {
				return nil, notReady(err.Error())
			}
			if why := now.NotReady(); why != "" {
				return nil, notReady(why)
			}
			return answerAt(now.Revision, api.Health{Status: "ready", Revision: now.Revision}), nil
		})
}

const readyPath = "/readyz"

func notReady(why string) *api.Problem {
	return &api.Problem{
		Type: "about:blank", Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable,
		Detail: why, Hint: "the daemon tries again by itself; lbctl get interfaces and its log say more",
	}
}
