package rest

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/events"
)

// maxReaders is how many may read events at a time.
const maxReaders = 32

type eventsInput struct {
	LastEventID string `header:"Last-Event-ID" doc:"Begin after the event with this id. What is not kept any more, or is from before a restart of the daemon, is told as an event gap." example:"1896094800000-17"`
	All         bool   `query:"all" doc:"Begin with all events that are kept: the last two thousand at least, since the daemon started. Otherwise with those from now on, or after Last-Event-ID."`
	Follow      bool   `query:"follow" default:"true" doc:"Go on with events as they happen. false: end when those that are kept were sent."`
	Service     string `query:"service" doc:"Only events about this service, by its name; the service may come later." example:"web"`
}

func (s *Server) eventRoutes(a huma.API) {
	schema := a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Event](), true, "Event")
	op := huma.Operation{
		OperationID: "events",
		Method:      http.MethodGet,
		Path:        "/v1/events",
		Summary:     "What has happened and what happens, as a stream",
		Description: "Server-sent events: id, the kind as event, and the event as data, until the connection or the daemon ends; a comment now " +
			"and then. No reader holds up the daemon: one that is too slow is told by an event gap how many it has missed.",
		Responses: map[string]*huma.Response{
			"200":     {Description: "Server-sent events", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: schema}}},
			"default": problemResponse(a),
		},
	}
	readers := make(chan struct{}, maxReaders)
	huma.Register(a, op, func(_ context.Context, in *eventsInput) (*huma.StreamResponse, error) {
		r, err := events.NewReader(s.engine, in.LastEventID, in.All, in.Service)
		if err != nil {
			return nil, problem(err)
		}
		select {
		case readers <- struct{}{}:
		default:
			return nil, problem(&api.Problem{Type: "about:blank", Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable,
				Detail: fmt.Sprintf("%d clients read events already", maxReaders), Hint: "end one of them"})
		}
		return &huma.StreamResponse{Body: func(c huma.Context) {
			defer func() { <-readers }()
			s.sendEvents(c, r, in.Follow && c.Method() != http.MethodHead)
		}}, nil
	})
}

// sendEvents sends events until the client disconnects or does not read any more, or the server ends.
func (s *Server) sendEvents(c huma.Context, r *events.Reader, follow bool) {
	out := openStream(c)
	watch := &readerWatch{of: peerOf(c.Context())}
	tick := time.NewTicker(s.patience / 2)
	defer tick.Stop()
	for {
		all, more := r.Next()
		for _, e := range all {
			out.name(e.ID, e.Kind)
			if out.send(e) != nil {
				return
			}
		}
		if out.flush() != nil || !follow {
			return
		}
		select {
		case <-c.Context().Done():
			return
		case <-s.ending:
			return
		case <-more:
		case <-tick.C:
			if !watch.reads(out.sent) {
				s.log.Warn("end a stream of events: its client does not read")
				return
			}
			_ = out.comment() // the buffer keeps its first error
		}
	}
}
