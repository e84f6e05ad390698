package rest

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/config"
	"lbctl/control/reconcile"
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
			return answerAt(now.Revision, wireInterfaces(now.Intent, attached)), err
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

func wireInterfaces(i config.Intent, attached []lb.Interface) api.Interfaces {
	wire := api.Interfaces{Interfaces: make([]api.Attached, 0, len(attached))}
	for _, a := range attached {
		w := api.Attached{Name: a.Name, Index: a.Index, Mode: a.Mode.String()}
		if n := indexOf(i, a.Name); n >= 0 {
			w.Asked = i.Interfaces[n].Mode.String()
		}
		wire.Interfaces = append(wire.Interfaces, w)
	}
	return wire
}

func indexOf(i config.Intent, name string) int {
	return slices.IndexFunc(i.Interfaces, func(a reconcile.Attachment) bool { return a.Name == name })
}

// attach adds an interface, or changes its mode.
func attach(name, mode string) edit {
	return func(i config.Intent) (config.Intent, error) {
		a, err := config.ResolveInterface(api.Interface{Name: name, Mode: mode})
		if err != nil {
			return i, inPath(err, "name")
		}
		i.Interfaces = slices.Clone(i.Interfaces)
		if n := indexOf(i, name); n >= 0 {
			i.Interfaces[n] = a
		} else {
			i.Interfaces = append(i.Interfaces, a)
		}
		return i, nil
	}
}

func detach(name string) edit {
	return func(i config.Intent) (config.Intent, error) {
		n := indexOf(i, name)
		if n < 0 {
			return i, fmt.Errorf("interface %q: %w", name, lb.ErrNotFound)
		}
		i.Interfaces = slices.Delete(slices.Clone(i.Interfaces), n, n+1)
		return i, nil
	}
}
