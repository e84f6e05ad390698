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

func (s *Server) flowRoutes(a huma.API) {
	register(a, "get-flows", http.MethodGet, "/v1/flows", "What is remembered of flows, by service and replica",
		func(context.Context, *struct{}) (*answer[api.Flows], error) {
			now := s.keeper.now.Load()
			flows, err := s.keeper.dp.Flows()
			return answerAt(now.Number, wireFlows(now.Intent, flows)), err
		})
}

// wireFlows lists services and replicas as the intent does.
func wireFlows(i intent.Intent, flows map[lb.VIP]lb.Flows) api.Flows {
	out := api.Flows{Services: make([]api.ServiceFlows, 0, len(i.Services))}
	for _, s := range i.Services {
		out.Services = append(out.Services, api.ServiceFlows{
			Name: s.Name, VIP: s.VIP.Address.String(), Protocol: s.VIP.Protocol.String(),
			Tracking: s.Tracking.String(), Slots: s.Slots(),
			SlotsInTransition: flows[s.VIP].InTransition, Replicas: wireStatus(s, flows[s.VIP]),
		})
	}
	return out
}

// wireStatus returns the replicas of a service with what is remembered of their flows.
func wireStatus(s intent.Service, flows lb.Flows) []api.ReplicaStatus {
	out := make([]api.ReplicaStatus, 0, len(s.Replicas))
	for n, r := range wire.Service(s).Replicas {
		f, known := flows.Replicas[s.Replicas[n].Address]
		out = append(out, api.ReplicaStatus{
			Replica:    r,
			FlowCounts: api.ReplicaFlows{Established: f.Established, HalfOpen: f.HalfOpen, OldFlowSlots: f.OldFlowSlots},
			// An active one has flows of which nothing is remembered.
			SafeToRemove: known && f.None() && s.Replicas[n].State != lb.Active,
		})
	}
	return out
}
