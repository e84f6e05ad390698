package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/config"
)

type explainInput struct{ Body api.Probe }

func (s *Server) observeRoutes(a huma.API) {
	register(a, "get-counters", http.MethodGet, "/v1/counters", "Packets and bytes by reason, service and replica",
		func(context.Context, *struct{}) (*answer[api.Counters], error) {
			now := s.keeper.now.Load()
			counters, err := s.keeper.dp.Counters()
			return answerAt(now.Revision, wireCounters(now.Intent, counters)), err
		})
	register(a, "explain", http.MethodPost, "/v1/explain", "The way of a packet that is not sent; changes nothing",
		func(_ context.Context, in *explainInput) (*answer[api.Explanation], error) {
			now := s.keeper.now.Load()
			probe, err := config.ResolveProbe(in.Body)
			if err != nil {
				return nil, err
			}
			way, err := s.keeper.dp.Explain(probe)
			return answerAt(now.Revision, wireExplanation(now.Intent, probe.Flow, way)), err
		})
}
