package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
)

func (s *Server) healthRoutes(a huma.API) {
	register(a, "healthz", http.MethodGet, "/healthz", "The daemon answers",
		func(context.Context, *struct{}) (*answer[api.Health], error) {
			revision := s.keeper.now.Load().Number
			return answerAt(revision, api.Health{Status: "ok", Revision: revision}), nil
		})
	register(a, "readyz", http.MethodGet, "/readyz", "The datapath forwards as intended",
		func(context.Context, *struct{}) (*answer[api.Health], error) {
			revision := s.keeper.now.Load().Number
			if err := s.keeper.ready(); err != nil {
				return nil, err
			}
			return answerAt(revision, api.Health{Status: "ready", Revision: revision}), nil
		})
}

// ready says why the datapath cannot be trusted to forward as intended, or nil.
func (k *keeper) ready() error {
	_, err := k.dp.Services()
	detail := ""
	switch {
	case err != nil:
		detail = err.Error()
	case k.astray.Load():
		detail = "a change was refused and could not be rolled back"
	default:
		return nil
	}
	return &api.Problem{
		Type: "about:blank", Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable,
		Detail: detail, Hint: "apply the configuration again; the daemon's log says more",
	}
}
