package rest

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/wire"
	"lbctl/lb"
	"lbctl/rss/packet"
)

type monitorInput struct {
	Reasons     []string `query:"reason,explode" nullable:"false" doc:"Only packets with one of these reasons." example:"no_replica"`
	Service     string   `query:"service" doc:"Only packets to this service, and answers from it, by its name."`
	Source      string   `query:"source" doc:"Only packets from an address or a prefix, of the flow as it came in." example:"198.51.100.0/24"`
	Destination string   `query:"destination" doc:"Only packets to an address or a prefix, which a port may follow." example:"192.0.2.1:80"`
	Port        int64    `query:"port" minimum:"1" maximum:"65535" doc:"Only packets from this port or to it."`
	Protocol    string   `query:"protocol" doc:"Only packets of this protocol: tcp, udp, sctp, icmp, icmpv6, esp, ah, gre or a number." example:"udp"`
	Every       int64    `query:"every" minimum:"1" maximum:"4294967295" default:"1" doc:"Sample one in this many of the packets that the other parameters select; each CPU counts on its own."`
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

// monitor opens a monitor. Errors: *unknownReason; *intent.Error; lb.ErrNotFound for a service that is not known; those
// of the datapath.
func (s *Server) monitor(in *monitorInput) (lb.Monitor, error) {
	flows, err := wire.ResolveFlows(in.Source, in.Destination, in.Protocol, uint16(in.Port))
	if err != nil {
		return nil, inQuery(err)
	}
	f := lb.Filter{Every: uint32(in.Every), Flow: flows}
	for _, name := range in.Reasons {
		r, err := lb.ParseReason(name)
		if err != nil {
			return nil, &unknownReason{name}
		}
		f.Reasons = append(f.Reasons, r)
	}
	if in.Service != "" {
		service, err := s.engine.Now().Intent.Service(in.Service)
		if err != nil {
			return nil, err
		}
		f.Service = service.VIP
	}
	return s.engine.Observe().Monitor(f)
}

// names caches the names of services by VIP until the intent changes: there are many samples.
type names struct {
	of  *engine.Snapshot
	all map[lb.VIP]string
}

func (n *names) name(now *engine.Snapshot, vip lb.VIP) string {
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

// unknownReason: there is no reason of that name.
type unknownReason struct{ name string }

func (e *unknownReason) Error() string { return fmt.Sprintf("reason %q: not known", e.name) }

// Hint suggests a reason.
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

// sampleResponse describes a stream of samples.
func sampleResponse(a huma.API) *huma.Response {
	schema := a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Sample](), true, "Sample")
	return &huma.Response{
		Description: "Server-sent events; the data of each is a sample",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: schema}},
	}
}

// stream sends samples until the client disconnects or does not read any more, or the server or the datapath ends. Then
// it closes the monitor: every packet takes longer while one is open.
func (s *Server) stream(c huma.Context, m lb.Monitor) {
	defer func() {
		if err := m.Close(); err != nil {
			s.log.Error("close monitor", "error", err)
		}
	}()
	e := openStream(c)
	readers := &readerWatch{of: peerOf(c.Context())}
	tick := time.NewTicker(s.patience / 2)
	defer tick.Stop()
	var lost uint64
	var n names
	for err := e.flush(); err == nil && c.Method() != http.MethodHead; {
		select {
		case <-c.Context().Done():
			return
		case <-s.ending:
			return
		case <-tick.C:
			if !readers.reads(e.sent) {
				s.log.Warn("end a monitor: its client does not read")
				return
			}
			err = e.comment()
		case sample, open := <-m.Samples():
			if !open {
				return
			}
			wire, told := wireSample(n.name(s.engine.Now(), sample.Service), sample), m.Lost()
			wire.Lost, lost = told-lost, told
			if err = e.send(wire); err == nil && len(m.Samples()) == 0 {
				err = e.flush()
			}
		}
	}
}
