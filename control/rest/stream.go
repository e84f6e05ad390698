package rest

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// eventStream writes server-sent events.
type eventStream struct {
	buffer *bufio.Writer
	json   *json.Encoder
	client *http.ResponseController
	// sent is how many bytes were sent.
	sent int
	to   io.Writer
}

// openStream begins an answer that is a stream.
func openStream(c huma.Context) *eventStream {
	c.SetHeader("Content-Type", "text/event-stream")
	c.SetHeader("Cache-Control", "no-store")
	c.SetHeader("Connection", "close") // it has a deadline that no other request is to have
	c.SetStatus(http.StatusOK)
	w := c.BodyWriter().(http.ResponseWriter)
	e := &eventStream{client: http.NewResponseController(w), to: w}
	e.buffer = bufio.NewWriterSize(e, 1<<16)
	e.json = json.NewEncoder(e.buffer)
	return e
}

// Write sends what was buffered.
func (e *eventStream) Write(p []byte) (int, error) {
	n, err := e.to.Write(p)
	e.sent += n
	return n, err
}

// comment sends an event that means nothing: a connection that leads nowhere shows by it.
func (e *eventStream) comment() error {
	_, _ = e.buffer.WriteString(":\n\n") // the buffer keeps its first error
	return e.flush()
}

// name begins an event that has an id and a name, without line ends in them.
func (e *eventStream) name(id, event string) {
	_, _ = e.buffer.WriteString("id: " + id + "\nevent: " + event + "\n")
}

// send buffers an event, or its end. JSON ends its line; the empty line after it ends the event.
func (e *eventStream) send(v any) error {
	_, _ = e.buffer.WriteString("data: ") // the buffer keeps its first error
	if err := e.json.Encode(v); err != nil {
		return err
	}
	return e.buffer.WriteByte('\n')
}

// flush writes what is buffered to the client.
func (e *eventStream) flush() error {
	if err := e.buffer.Flush(); err != nil {
		return err
	}
	return e.client.Flush()
}
