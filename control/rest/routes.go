package rest

import (
	"context"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"lbctl/control/api"
	"lbctl/control/docs"
	"lbctl/control/metrics"
	"lbctl/control/profile"
	"lbctl/control/rest/encode"
)

// routes returns the whole API.
func (s *Server) routes(version string) http.Handler {
	mux := http.NewServeMux()
	a := humago.New(mux, describe(version, s.logFailure))
	a.UseMiddleware(refuseEmpty)
	s.configRoutes(a)
	s.revisionRoutes(a)
	s.poolRoutes(a)
	s.serviceRoutes(a)
	s.replicaRoutes(a)
	s.overrideRoutes(a)
	s.flowRoutes(a)
	s.interfaceRoutes(a)
	s.observeRoutes(a)
	s.monitorRoutes(a)
	s.eventRoutes(a)
	s.healthRoutes(a)
	s.statusRoutes(a)
	mux.Handle("GET /metrics", metricsPage(metrics.New(s.engine, s.labels, version, s.more...)))
	mux.Handle("GET /docs", docs.Handler())
	profile.Routes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { noRoute(mux, w, r) })
	s.routeOf = func(r *http.Request) string { _, route := mux.Handler(r); return route }
	return s.recoverPanics(mux)
}

// metricsPage is the page for Prometheus, its errors as problems.
func metricsPage(page *metrics.Page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := page.Serve(w, r); err != nil {
			write(w, problem(err))
		}
	})
}

// describe returns the framework's settings: an OpenAPI description, and no documentation page, which would load
// scripts from the network.
func describe(version string, log huma.Transformer) huma.Config {
	c := huma.DefaultConfig("lbctl", version)
	c.DocsPath, c.SchemasPath = "", ""
	c.OnAddOperation = append(c.OnAddOperation, describeRole)
	c.CreateHooks = nil // no $schema in answers
	text := huma.Format{Marshal: encode.JSON, Unmarshal: huma.DefaultJSONFormat.Unmarshal}
	c.Formats = map[string]huma.Format{"application/json": text, "json": text}
	c.RejectUnknownQueryParameters = true
	c.Info.Description = "Control of the XDP load balancer. Every mutation is validated, applied and stored " +
		"before it is answered; with an error nothing has changed. x-lbctl-role says which role an operation needs: " +
		"a viewer, or an operator, who may do what viewers may, too. Without the role it is refused with 403, and over TCP " +
		"with 401 where nobody is known. A query parameter that is given without a value is refused with 422."
	c.Transformers = []huma.Transformer{hinted, log}
	return c
}

// hinted turns errors that the framework found into problems with a hint.
func hinted(_ huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := &api.Problem{Type: "about:blank", Title: e.Title, Status: e.Status, Detail: e.Detail,
		Hint: "correct the request; /openapi.json describes it"}
	for _, d := range e.Errors {
		p.Errors = append(p.Errors, api.Field{Location: d.Location, Message: d.Message})
	}
	if len(p.Errors) > 0 {
		p.Detail += ": " + p.Errors[0].Location + ": " + p.Errors[0].Message
	}
	return p, nil
}

// register adds an operation whose errors are answered as problems.
func register[I, O any](a huma.API, id, method, path, summary string, handle func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: id,
		Method:      method,
		Path:        path,
		Summary:     summary,
		Responses:   map[string]*huma.Response{"default": problemResponse(a)},
	}
	huma.Register(a, op, func(ctx context.Context, in *I) (*O, error) {
		d, has := any(in).(document)
		if has && d.refused() != nil {
			defer d.release()
			return nil, problem(d.refused())
		}
		out, err := handle(ctx, in)
		if err != nil {
			if has {
				defer d.release()
			}
			return nil, problem(err)
		}
		return out, nil
	})
	if d, has := any(new(I)).(document); has { // only now: the framework reads a body that it knows of
		item := a.OpenAPI().Paths[path]
		body := d.schema(a.OpenAPI().Components.Schemas)
		for _, media := range body.Content {
			media.Example = docs.Body(id)
		}
		map[string]*huma.Operation{http.MethodPut: item.Put, http.MethodPost: item.Post, http.MethodPatch: item.Patch}[method].RequestBody = body
	}
}

func problemResponse(a huma.API) *huma.Response {
	schema := a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Problem](), true, "Problem")
	return &huma.Response{
		Description: "What went wrong (RFC 9457)",
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schema}},
	}
}

// answer is a body and the revision it belongs to.
type answer[T any] struct {
	ETag string `header:"ETag" doc:"The revision of the intent, quoted."`
	Body T
}

func answerAt[T any](revision uint64, body T) *answer[T] {
	return &answer[T]{ETag: etag(revision), Body: body}
}

// etag is the entity tag of everything that belongs to a revision of the intent.
func etag(revision uint64) string { return fmt.Sprintf(`"%d"`, revision) }
