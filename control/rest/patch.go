package rest

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/config"
	"lbctl/control/engine"
	"lbctl/control/intent"
)

// mergePatch is the type of a body that changes some fields (RFC 7396).
const mergePatch = "application/merge-patch+json"

// Patch is the part of the input of an operation whose body is a JSON Merge Patch of a type. It is exported because the framework
// sees no other parts.
type Patch[T any] struct {
	text []byte
	err  error
}

// Resolve implements huma.Resolver: it reads the body, and looks whether it could be a patch.
func (p *Patch[T]) Resolve(r huma.Context) []error {
	if kind, _, err := mime.ParseMediaType(r.Header("Content-Type")); err != nil || kind != mergePatch {
		r.SetHeader("Accept-Patch", mergePatch) // RFC 5789
		p.err = bodyProblem(http.StatusUnsupportedMediaType, fmt.Sprintf("content type %.100q", r.Header("Content-Type")), "send "+mergePatch)
		return nil
	}
	body := &bodyReader{of: r, from: r.BodyReader(), began: time.Now()}
	defer body.end()
	var text bytes.Buffer
	if _, p.err = text.ReadFrom(body); p.err == nil {
		p.text = text.Bytes()
		p.err = config.MergeJSON(bytes.NewReader(p.text), new(T))
	}
	return nil
}

// patched returns a value with the patch.
func (p *Patch[T]) patched(value T) (T, error) {
	err := config.MergeJSON(bytes.NewReader(p.text), &value)
	return value, err
}

func (p *Patch[T]) release()       { p.text = nil }
func (p *Patch[T]) refused() error { return p.err }

// schema describes the body: any part of the type.
func (p *Patch[T]) schema(huma.Registry) *huma.RequestBody {
	what := fmt.Sprintf("A JSON Merge Patch (RFC 7396) of %T: fields that are null get their defaults, lists are replaced.", *new(T))
	return &huma.RequestBody{Required: true, Description: what, Content: map[string]*huma.MediaType{
		mergePatch: {Schema: &huma.Schema{Type: "object", AdditionalProperties: true}},
	}}
}

// allowsPatch is allows for a patch, which only changes what is there, and asks for If-Match: of two that replace one list, one
// would undo the other.
func (c *Conditional) allowsPatch(exists func(intent.Intent) bool) func(*engine.Snapshot) error {
	allows := c.allows(exists)
	return func(now *engine.Snapshot) error {
		if c.wrong == nil && !c.match.given {
			const status = http.StatusPreconditionRequired
			return &api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: "a patch without If-Match",
				Hint:   fmt.Sprintf("send the ETag of what you have read as If-Match (now %s), or * for whatever it is", etag(now.Number)),
				Errors: []api.Field{{Location: headerPrefix + "If-Match", Message: "missing"}}}
		}
		return allows(now)
	}
}
