package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"reflect"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/config"
)

// What a body may take.
const (
	// maxBody is the size of the largest request body, in bytes: room for a million replicas.
	maxBody = 128 << 20
	// maxBodies is the size of all that are read at a time, smallBody that up to which a body is read at any time.
	maxBodies = 2 * maxBody
	smallBody = 1 << 20
	// A body has bodyPatience, and a second for every bodyRate bytes that have come.
	bodyPatience = 10 * time.Second
	bodyRate     = 64 << 10
)

// bodies counts the bytes of bodies that are read now, beyond smallBody of each.
var bodies atomic.Int64

// Document is the part of the input of an operation that has a body. The body is decoded by package config, as strictly as
// a file, and not by the framework, which takes a field twice and in other letters, and needs memory for many times
// the text. It is exported because the framework sees no other parts.
type Document[T any] struct {
	value T
	err   error
	size  int64
}

// document is a Document of any type.
type document interface {
	schema(huma.Registry) *huma.RequestBody
	refused() error
	release()
}

// Resolve implements huma.Resolver: it reads the body.
func (d *Document[T]) Resolve(r huma.Context) []error {
	body := &bodyReader{of: r, from: r.BodyReader(), began: time.Now()}
	defer body.end()
	if d.err = jsonType(r.Header("Content-Type")); d.err == nil {
		d.err = config.DecodeJSON(body, &d.value)
	}
	d.size = body.count
	return nil
}

// release forgets a body that is refused, and returns its memory to the system: it may be most that the daemon has.
func (d *Document[T]) release() {
	var none T
	d.value = none
	if d.size > smallBody {
		debug.FreeOSMemory()
	}
}

// refused returns why the body is refused.
func (d *Document[T]) refused() error { return d.err }

// schema describes the body.
func (d *Document[T]) schema(r huma.Registry) *huma.RequestBody {
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: r.Schema(reflect.TypeFor[T](), true, "")}}}
}

func jsonType(header string) error {
	kind, _, err := mime.ParseMediaType(header)
	if header == "" || err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json")) {
		return nil
	}
	return bodyProblem(http.StatusUnsupportedMediaType, fmt.Sprintf("content type %.100q", header), "send application/json")
}

func bodyProblem(status int, what, hint string) *api.Problem {
	return &api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: "body: " + what, Hint: hint,
		Errors: []api.Field{{Location: "body", Message: what, Hint: hint}}}
}

// bodyReader reads a body within the limits.
type bodyReader struct {
	of    huma.Context
	from  io.Reader
	began time.Time
	count int64
	slow  bool
}

// Read implements io.Reader. Errors: *api.Problem.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.from == nil {
		return 0, io.EOF
	}
	// A transport without deadlines is one without a slow peer.
	_ = b.of.SetReadDeadline(b.began.Add(bodyPatience + time.Duration(b.count/bodyRate)*time.Second))
	n, err := b.from.Read(p)
	before := max(b.count-smallBody, 0)
	b.count += int64(n)
	total := bodies.Add(max(b.count-smallBody, 0) - before)
	var slow net.Error
	switch {
	case b.count > maxBody:
		err = bodyProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("more than %d MB", maxBody>>20), "send less")
	case total > maxBodies && b.count > smallBody:
		err = bodyProblem(http.StatusServiceUnavailable, "too many large bodies at once", "try again when the others are done")
	case errors.As(err, &slow) && slow.Timeout():
		b.slow = true
		err = bodyProblem(http.StatusRequestTimeout, fmt.Sprintf("slower than %d kB/s after %v", bodyRate>>10, bodyPatience), "send it faster")
	case err != nil && !errors.Is(err, io.EOF):
		err = bodyProblem(http.StatusBadRequest, err.Error(), "send the whole body")
	}
	return n, err
}

// end takes the body out of the count, and ends the deadline: not that of a body that was too slow, the rest of which
// net/http reads before it answers if that is short.
func (b *bodyReader) end() {
	bodies.Add(-max(b.count-smallBody, 0))
	if !b.slow {
		_ = b.of.SetReadDeadline(time.Time{})
	}
}

// ConfigSchema returns the JSON Schema (2020-12) of configuration files.
func ConfigSchema() ([]byte, error) {
	registry := huma.NewMapRegistry("#/$defs/", huma.DefaultSchemaNamer)
	root := registry.Schema(reflect.TypeFor[api.Config](), true, "")
	text, err := json.MarshalIndent(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "lbctl configuration",
		"$ref":    root.Ref,
		"$defs":   registry.Map(),
	}, "", "  ")
	return append(text, '\n'), err
}
