package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
)

// InterfacePath is the part of a path that names an interface.
type InterfacePath struct {
	Name string `path:"name" doc:"The kernel's name of the interface." example:"eth0"`
}

type interfaceInput struct {
	Conditional
	InterfacePath
}

type putInterfaceInput struct {
	Conditional
	InterfacePath
	Body api.Mode
}

func (s *Server) interfaceRoutes(a huma.API) {
	register(a, "list-interfaces", http.MethodGet, "/v1/interfaces", "The attached interfaces",
		func(context.Context, *struct{}) (*answer[api.Interfaces], error) {
			now := s.keeper.now.Load()
			attached, err := s.keeper.dp.Interfaces()
			return answerAt(now.Number, wireInterfaces(now.Intent, attached)), err
		})
	register(a, "put-interface", http.MethodPut, "/v1/interfaces/{name}", "Attach an interface",
		func(ctx context.Context, in *putInterfaceInput) (*answer[api.Change], error) {
			return s.change(ctx, in.Conditional, attach(in.Name, in.Body.Mode))
		})
	register(a, "delete-interface", http.MethodDelete, "/v1/interfaces/{name}", "Detach an interface",
		func(ctx context.Context, in *interfaceInput) (*answer[api.Change], error) {
			return s.change(ctx, in.Conditional, detach(in.Name))
		})
}

func wireInterfaces(i intent.Intent, attached []lb.Interface) api.Interfaces {
	wire := api.Interfaces{Interfaces: make([]api.Attached, 0, len(attached))}
	for _, a := range attached {
		w := api.Attached{Name: a.Name, IfIndex: a.Index, Mode: a.Mode.String()}
		if wanted, is := i.Interface(a.Name); is {
			w.RequestedMode = wanted.Mode.String()
		}
		wire.Interfaces = append(wire.Interfaces, w)
	}
	return wire
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
