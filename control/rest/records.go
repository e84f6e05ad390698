package rest

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/rest/encode"
	"lbctl/control/wire"
	"lbctl/lb"
)

type trafficInput struct {
	ServicePage
	NextHops bool `query:"next_hops" doc:"Tell how packets to each replica leave."`
}

// traffic is an api.Traffic, the replicas of which are made while they are sent: 100,000 are 40 MB.
type traffic struct {
	Replicas encode.List[api.ReplicaTraffic] `json:"replicas"`
	Next     string                          `json:"next,omitempty"`
}

// Schema implements huma.SchemaProvider.
func (traffic) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[api.Traffic](), true, "")
}

// sent is what is known of the traffic of some services: of each of their replicas, in order.
type sent struct {
	part      []int
	packets   [][]lb.Count
	flows     [][]lb.FlowCount
	hops      [][]lb.ReplicaHop // nil where they are not asked for
	condition lb.Condition
}

// trafficOf lists the replicas of the services at these places. The errors are the datapath's.
func (s *Server) trafficOf(now *engine.Snapshot, part []int, hops bool) (out traffic, err error) {
	of, known, dp := make([]lb.Service, len(part)), sent{part: part}, s.engine.Observe()
	for n, k := range part {
		of[n] = now.Given.Services[k].Service
	}
	if known.packets, err = dp.ReplicaCounts(of); err != nil {
		return out, err
	}
	if known.flows, err = dp.FlowCounts(of); err != nil {
		return out, err
	}
	if hops {
		if known.hops, err = dp.NextHops(of); err != nil {
			return out, err
		}
	}
	known.condition, err = dp.Condition()
	out.Replicas = func(yield func(*api.ReplicaTraffic)) {
		for n := range part {
			s.wireTraffic(now, known, n, yield)
		}
	}
	return out, err
}

// wireTraffic hands on the replicas of the nth of some services.
func (s *Server) wireTraffic(now *engine.Snapshot, of sent, n int, yield func(*api.ReplicaTraffic)) {
	service, notes := now.Given.Services[of.part[n]], s.notesOf(now, *now.Intent.Services[of.part[n]])
	t := api.ReplicaTraffic{ServiceName: service.Name, Endpoint: wire.Endpoint(service.Service)}
	for k, r := range wire.Shown(*service).Replicas {
		address, count := service.Replicas[k].Address, of.packets[n][k]
		t.Replica, t.Packets, t.Bytes, t.FlowEvents = r, count.Packets, count.Bytes, wireFlowEvents(of.flows[n][k])
		t.Rate, t.Reason, t.Health = s.rate(service.VIP, address), unfit(of.condition, address), s.wireHealth(now, *service, address)
		t.ByHand = notes.on(*service, k, lb.Flows{})
		if of.hops != nil {
			t.NextHop = wireHop(of.hops[n][k])
		}
		yield(&t)
	}
}

func wireHop(h lb.ReplicaHop) *api.ReplicaHop {
	if h == (lb.ReplicaHop{}) {
		return nil
	}
	to := &api.ReplicaHop{
		NextHop:   api.NextHop{Interface: h.Interface, IfIndex: h.Index, SourceMAC: mac(h.Source)},
		Neighbour: h.Neighbour.String(), NeighbourState: string(h.State), Resolved: h.Destination != lb.MAC{}, MTU: h.MTU,
	}
	if to.Resolved {
		to.DestinationMAC = mac(h.Destination)
	}
	return to
}

// mostClients is how many addresses a request can ask for: each takes a try of every port.
const mostClients = 16

type recordsInput struct {
	ServicePath
	Client string `query:"client" required:"true" doc:"An address of clients, or a prefix of at most 16 addresses." example:"198.51.100.7"`
	Port   uint16 `query:"port" minimum:"1" doc:"The port of the service that they asked. Default the only one: a service with an end_port takes one."`
	After  string `query:"after" doc:"Only flows after this client's address and port: next of the answer before." example:"198.51.100.7:40000"`
	Limit  int    `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"At most so many."`
}

func (s *Server) recordRoutes(a huma.API) {
	register(a, "list-flows", http.MethodGet, "/v1/services/{name}/flows", "The recorded flows of a client, or of a few",
		func(ctx context.Context, in *recordsInput) (*answer[api.RecordedFlows], error) {
			now := s.engine.Now()
			service, err := now.Effective.Service(in.Name)
			if err != nil {
				return nil, err
			}
			clients, after, err := in.clients(service)
			if err != nil {
				return nil, err
			}
			service.VIP.Address = netip.AddrPortFrom(service.VIP.Address.Addr(), cmp.Or(in.Port, service.VIP.Address.Port()))
			out, err := s.records(ctx, service, clients, after, in.Limit)
			return answerAt(now.Number, out), err
		})
}

// clients returns what the request asks for. The error is an *intent.Error.
func (in *recordsInput) clients(s intent.Service) (netip.Prefix, netip.AddrPort, error) {
	var ps intent.Problems
	prefix, err := netip.ParsePrefix(in.Client)
	if address, single := netip.ParseAddr(in.Client); single == nil && address.Zone() == "" {
		prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
	}
	switch {
	case err != nil:
		ps.Add("client", "want an address or a prefix: 198.51.100.7 or 198.51.100.0/28", "%q is not an address", in.Client)
	case prefix.Addr().Is4() != s.VIP.Address.Addr().Is4():
		ps.Add("client", "want one of the family of its VIP", "%v cannot be a client of %v", prefix.Addr(), s.VIP.Address)
	case 1<<(prefix.Addr().BitLen()-prefix.Bits()) > mostClients || prefix.Addr().BitLen()-prefix.Bits() > 16:
		ps.Add("client", "want at most 16, as of a /28 or /124: every port of each is tried, for records hold no addresses", "%v has too many addresses", prefix)
	}
	switch {
	case in.Port == 0 && s.EndPort != 0:
		ps.Add("port", "want one of the ports "+s.Ports()+": every port of a client is tried with it, for records hold no ports", "missing")
	case in.Port != 0 && !s.HasPort(in.Port):
		ps.Add("port", "want one of the ports "+s.Ports(), "%d is none of %s", in.Port, s.Name)
	}
	after := netip.AddrPort{}
	if in.After != "" {
		if after, err = netip.ParseAddrPort(in.After); err != nil {
			ps.Add("after", "want next of the answer before", "%q is not an address and a port", in.After)
		}
	}
	return prefix.Masked(), after, inQuery(ps.Err())
}

// records returns at most limit records of flows after one.
func (s *Server) records(ctx context.Context, of intent.Service, clients netip.Prefix, after netip.AddrPort, limit int) (api.RecordedFlows, error) {
	out := api.RecordedFlows{Flows: []api.RecordedFlow{}}
	for client := clients.Addr(); clients.Contains(client); client = client.Next() {
		if client.Less(after.Addr()) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return out, err
		}
		flows, err := s.engine.Observe().FlowsOf(of.VIP, client)
		if err != nil {
			return out, err
		}
		for _, f := range flows {
			if f.Client.Compare(after) <= 0 {
				continue
			}
			if len(out.Flows) == limit {
				out.Next = out.Flows[limit-1].Client
				return out, nil
			}
			out.Flows = append(out.Flows, wireRecord(f, of.Idle))
		}
	}
	return out, nil
}

func wireRecord(f lb.RecordedFlow, idle time.Duration) api.RecordedFlow {
	silent := idle * time.Duration(max(f.Age-1, 0)) / lb.IdleSteps // the first step may come right after a packet
	return api.RecordedFlow{
		Client: f.Client.String(), Replica: f.Replica.String(), Record: string(f.Stage),
		ClosedByClient: f.ClosedByClient, ClosedByReplica: f.ClosedByReplica, SilentFor: api.Duration(silent.Truncate(time.Second).String()),
	}
}
