package rest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
)

type countersInput struct {
	By []string `query:"by" enum:"reason,service,replica" doc:"Only what is counted by these, the other lists are empty; what was lost comes with reasons. Left out: all." example:"[\"reason\",\"service\"]"`
}

// count counts what is asked for. The error is the datapath's.
func (in *countersInput) count(dp engine.Observer) (c lb.Counters, err error) {
	is := func(by string) bool { return len(in.By) == 0 || slices.Contains(in.By, by) }
	if !is("service") && !is("replica") {
		return dp.ReasonCounts()
	}
	if c, err = dp.Counters(); err != nil {
		return c, err
	}
	if !is("reason") {
		c.Reasons, c.Losses, c.LossesUnknown = nil, nil, ""
	}
	if !is("service") {
		c.Services = nil
	}
	if !is("replica") {
		c.Replicas = nil
	}
	return c, nil
}

// wireCounters names and sorts counters: reasons by packets, most first, then by name; services and
// replicas by address.
func wireCounters(i intent.Intent, c lb.Counters) api.Counters {
	out := api.Counters{Reasons: []api.ReasonCount{}, Services: []api.ServiceCount{}, Replicas: []api.ReplicaCount{},
		Losses: []api.LossCount{}, LossesUnknown: c.LossesUnknown}
	for _, l := range c.Losses {
		out.Losses = append(out.Losses, api.LossCount{Interface: l.Interface, Cause: string(l.Cause), Packets: l.Packets, Error: l.Error})
	}
	var known map[lb.VIP]intent.Service
	if len(c.Services)+len(c.Replicas) > 0 {
		known = i.ByVIP()
	}
	for reason, n := range c.Reasons {
		out.Packets += n.Packets
		out.Bytes += n.Bytes
		out.Reasons = append(out.Reasons, api.ReasonCount{Reason: string(reason), Dropped: actionOf(reason, 0, 0) == drop, Packets: n.Packets, Bytes: n.Bytes})
	}
	slices.SortFunc(out.Reasons, func(a, b api.ReasonCount) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.Reason, b.Reason))
	})
	for _, vip := range slices.SortedFunc(maps.Keys(c.Services), lb.VIP.Compare) {
		name, at := named(known, vip)
		n := c.Services[vip]
		out.Services = append(out.Services, api.ServiceCount{Name: name, Endpoint: at, Packets: n.Packets, Bytes: n.Bytes})
	}
	for _, vip := range slices.SortedFunc(maps.Keys(c.Replicas), lb.VIP.Compare) {
		name, at := named(known, vip)
		for _, r := range slices.SortedFunc(maps.Keys(c.Replicas[vip]), netip.AddrPort.Compare) {
			n := c.Replicas[vip][r]
			out.Replicas = append(out.Replicas, api.ReplicaCount{
				ServiceName: name, Endpoint: at, Replica: r.String(), Packets: n.Packets, Bytes: n.Bytes, FlowEvents: wireFlowEvents(c.Flows[vip][r]),
			})
		}
	}
	return out
}

// named returns the name of a service, "" if the intent does not know it, and where clients find it.
func named(known map[lb.VIP]intent.Service, vip lb.VIP) (string, api.Endpoint) {
	s := known[vip]
	s.VIP = vip
	return s.Name, wire.Endpoint(s.Service)
}

func wireFlowEvents(n lb.FlowCount) api.FlowEvents {
	return api.FlowEvents{NewFlows: n.Begun, Resets: n.Resets, Refusals: n.Refusals}
}

func (s *Server) flowRoutes(a huma.API) {
	register(a, "get-traffic", http.MethodGet, "/v1/replicas", "The replicas of all services and what is sent to them",
		func(_ context.Context, in *trafficInput) (*answer[traffic], error) {
			now := s.engine.Now()
			part, next, err := s.servicesOf(in.ServicePage, now)
			if err != nil {
				return nil, err
			}
			out, err := s.trafficOf(now, part, in.NextHops)
			out.Next = next
			return answerAt(now.Number, out), err
		})
	s.recordRoutes(a)
	register(a, "get-flows", http.MethodGet, "/v1/flows", "What is recorded of flows, by service and replica",
		func(_ context.Context, in *ServicePage) (*answer[api.Flows], error) {
			now := s.engine.Now()
			part, next, err := s.servicesOf(*in, now)
			if err != nil {
				return nil, err
			}
			var of []lb.VIP
			if len(in.Service) > 0 {
				for _, n := range part {
					of = append(of, now.Given.Services[n].VIP)
				}
			}
			flows, err := s.engine.Observe().Flows(of...)
			if err != nil {
				return nil, err
			}
			condition, err := s.engine.Observe().Condition()
			out := s.wireFlows(now, part, flows, condition)
			out.Next = next
			return answerAt(now.Number, out), err
		})
}

func (s *Server) rate(v lb.VIP, replica netip.AddrPort) (r api.Rate) {
	r.PacketsPerSecond, r.Known = s.engine.Rate(engine.Endpoint{VIP: v, Replica: replica})
	return r
}

// unfit says why no packet gets to a replica, "" if they do.
func unfit(c lb.Condition, replica netip.AddrPort) string {
	why := c.Unfit[replica.Addr()]
	if why == "" {
		return ""
	}
	return fmt.Sprintf("%v is %s", replica.Addr(), why)
}

// wireHealth is what is known of a replica's health, nil where it is not checked.
func (s *Server) wireHealth(now *engine.Snapshot, of intent.Service, replica netip.AddrPort) *api.ReplicaHealth {
	h, checked := now.Health(engine.Endpoint{VIP: of.VIP, Replica: replica})
	if !checked {
		return nil
	}
	out := &api.ReplicaHealth{Status: h.Status.String(), Since: h.Since.UTC().Truncate(time.Millisecond), Reason: h.Reason}
	if share := now.Share(of, replica, s.engine.Time()); share < 100 {
		out.StartingPercent = &share
	}
	return out
}

// wireFlows lists these services and their replicas.
func (s *Server) wireFlows(now *engine.Snapshot, part []int, flows map[lb.VIP]lb.Flows, c lb.Condition) api.Flows {
	out := api.Flows{Services: make([]api.ServiceFlows, 0, len(part))}
	for _, n := range part {
		of := now.Given.Services[n]
		out.Services = append(out.Services, api.ServiceFlows{
			Name: of.Name, Endpoint: wire.Endpoint(of.Service),
			Tracking: of.Tracking.String(), Slots: now.Effective.Services[n].Slots(),
			SlotsInTransition: flows[of.VIP].InTransition, Replicas: s.wireStatus(now, *of, s.notesOf(now, *now.Intent.Services[n]), flows[of.VIP], c),
		})
	}
	return out
}

// wireStatus returns the replicas of a service with what is recorded of their flows, what is sent to them and why it does
// not get there.
func (s *Server) wireStatus(now *engine.Snapshot, of intent.Service, notes notes, flows lb.Flows, c lb.Condition) []api.ReplicaStatus {
	out := make([]api.ReplicaStatus, 0, len(of.Replicas))
	for n, r := range wire.Shown(of).Replicas {
		address := of.Replicas[n].Address
		f := flows.Replicas[address]
		active := of.Replicas[n].State == lb.Active
		out = append(out, api.ReplicaStatus{
			Replica: r,
			FlowCounts: api.ReplicaFlows{
				Established: f.Established, HalfOpen: f.HalfOpen, OldFlowSlots: f.OldFlowSlots,
				AtLeast: f.OldFlowSlots > 0 || active && of.Tracking != lb.TrackAlways,
			},
			Rate: s.rate(of.VIP, address), Reason: unfit(c, address), Health: s.wireHealth(now, of, address),
			SafeToRemove: safe(of.Replicas[n], flows), ByHand: notes.on(of, n, flows),
		})
	}
	return out
}
