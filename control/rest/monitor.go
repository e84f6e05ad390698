package rest

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/store"
	"lbctl/control/wire"
	"lbctl/lb"
	"lbctl/rss/packet"
)

type monitorInput struct {
	Reasons []string `query:"reason,explode" nullable:"false" doc:"Only packets with one of these reasons." example:"no_replica"`
	Service string   `query:"service" doc:"Only packets to this service, and answers from it, by its name."`
	Every   uint32   `query:"every" minimum:"1" default:"1" doc:"One in so many of the packets that the rest lets through; every CPU counts by itself."`
}

func (s *Server) monitorRoutes(a huma.API) {
	op := huma.Operation{
		OperationID: "monitor",
		Method:      http.MethodGet,
		Path:        "/v1/monitor",
		Summary:     "Samples of what comes in from now on, with its reason, as a stream",
		Description: "Server-sent events, each a sample, until the connection ends. Packets take longer as long as somebody watches.",
		Responses:   map[string]*huma.Response{"200": sampleResponse(a), "default": problemResponse(a)},
	}
	huma.Register(a, op, func(_ context.Context, in *monitorInput) (*huma.StreamResponse, error) {
		m, err := s.monitor(in)
		if err != nil {
			return nil, problem(err)
		}
		return &huma.StreamResponse{Body: func(c huma.Context) { s.stream(c, m) }}, nil
	})
}

// monitor begins to watch. Errors: *unknownReason; lb.ErrNotFound for a service that is not known; those
// of the datapath.
func (s *Server) monitor(in *monitorInput) (lb.Monitor, error) {
	f := lb.Filter{Every: in.Every}
	for _, name := range in.Reasons {
		r, err := lb.ParseReason(name)
		if err != nil {
			return nil, &unknownReason{name}
		}
		f.Reasons = append(f.Reasons, r)
	}
	if in.Service != "" {
		service, err := s.keeper.now.Load().Intent.Service(in.Service)
		if err != nil {
			return nil, err
		}
		f.Service = service.VIP
	}
	return s.keeper.dp.Monitor(f)
}

// names are those of the services of an intent by VIP, made anew when it changes: of samples there are many.
type names struct {
	of  *store.Revision
	all map[lb.VIP]string
}

func (n *names) name(now *store.Revision, vip lb.VIP) string {
	if n.of != now {
		n.of, n.all = now, now.Intent.Names()
	}
	return n.all[vip]
}

// wireSample describes a sample.
func wireSample(name string, s lb.Sample) api.Sample {
	w := api.Sample{
		Time: s.Time.UTC().Format(time.RFC3339Nano), Interface: s.Interface, IfIndex: s.Index, Queue: int(s.Queue), Core: s.CPU,
		Flow: flowOf(s.Frame), Reason: string(s.Reason), Replica: text(s.Replica), Length: s.Length, Frame: s.Frame,
	}
	if s.Service != (lb.VIP{}) {
		w.ServiceName, w.VIP, w.Protocol = name, s.Service.Address.String(), s.Service.Protocol.String()
	}
	return w
}

// flowOf returns the flow of a frame, nil for one that is not IP.
func flowOf(frame []byte) *api.Flow {
	h, _ := packet.Parse(frame) // what can be read of it is
	if h.Flow == (packet.Flow{}) {
		return nil
	}
	if h.Ports {
		return wireFlow(h.Flow)
	}
	address := func(a netip.AddrPort) string { return a.Addr().String() }
	return &api.Flow{Source: address(h.Flow.Source), Destination: address(h.Flow.Destination), Protocol: h.Flow.Protocol.String()}
}

// unknownReason: no packet ever has that reason.
type unknownReason struct{ name string }

func (e *unknownReason) Error() string { return fmt.Sprintf("reason %q: not known", e.name) }

// Hint says what is.
func (e *unknownReason) Hint() string {
	var names []string
	for _, r := range lb.Reasons() {
		names = append(names, string(r))
	}
	if near, ok := wire.Nearest(e.name, names); ok {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return "want one of " + strings.Join(names, ", ")
}

// Unwrap makes it lb.ErrInvalid.
func (e *unknownReason) Unwrap() error { return lb.ErrInvalid }
