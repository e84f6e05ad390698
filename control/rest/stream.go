package rest

import (
	"bufio"
	"encoding/json"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/lb"
)

// streamPatience is how long a client may let an event wait. Then it is hung up on: packets take
// longer as long as it watches.
const streamPatience = 30 * time.Second

// sampleResponse describes a stream of samples.
func sampleResponse(a huma.API) *huma.Response {
	schema := a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Sample](), true, "Sample")
	return &huma.Response{
		Description: "Server-sent events; the data of each is a sample",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: schema}},
	}
}

// stream sends samples until the client is gone, the server or the datapath ends; then it closes the
// monitor.
func (s *Server) stream(c huma.Context, m lb.Monitor) {
	defer func() {
		if err := m.Close(); err != nil {
			s.log.Error("end of a monitor", "error", err)
		}
	}()
	c.SetHeader("Content-Type", "text/event-stream")
	c.SetHeader("Cache-Control", "no-store")
	c.SetHeader("Connection", "close") // it has a deadline that no other request is to have
	c.SetStatus(http.StatusOK)
	e := newEvents(c.BodyWriter().(http.ResponseWriter))
	var lost uint64
	var n names
	for err := e.flush(); err == nil; {
		select {
		case <-c.Context().Done():
			return
		case <-s.ending:
			return
		case sample, open := <-m.Samples():
			if !open {
				return
			}
			wire, told := wireSample(n.name(s.keeper.now.Load(), sample.Service), sample), m.Lost()
			wire.Lost, lost = told-lost, told
			if err = e.send(wire); err == nil && len(m.Samples()) == 0 {
				err = e.flush()
			}
		}
	}
}

// events are what is sent in a stream.
type events struct {
	buffer *bufio.Writer
	json   *json.Encoder
	client *http.ResponseController
}

func newEvents(w http.ResponseWriter) *events {
	b := bufio.NewWriterSize(w, 1<<16)
	return &events{buffer: b, json: json.NewEncoder(b), client: http.NewResponseController(w)}
}

// send adds an event; the line that JSON ends with is followed by an empty one, which ends the event.
func (e *events) send(v any) error {
	if err := e.client.SetWriteDeadline(time.Now().Add(streamPatience)); err != nil {
		return err
	}
	_, _ = e.buffer.WriteString("data: ") // the buffer keeps its first error
	if err := e.json.Encode(v); err != nil {
		return err
	}
	return e.buffer.WriteByte('\n')
}

// flush sends what was added on its way.
func (e *events) flush() error {
	if err := e.buffer.Flush(); err != nil {
		return err
	}
	return e.client.Flush()
}
