package rest

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/access"
	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/wire"
)

// roles are what every route needs. One that is not here needs an operator, and fails a test. Viewers read, and ask what would be;
// monitor is not theirs, for it shows packets of clients and makes all packets take longer.
var roles = map[string]access.Role{
	"GET /v1/config":                                         access.Viewer,
	"PUT /v1/config":                                         access.Operator,
	"PATCH /v1/config":                                       access.Operator,
	"POST /v1/plan":                                          access.Viewer,
	"GET /v1/revisions":                                      access.Viewer,
	"GET /v1/revisions/{revision}":                           access.Viewer,
	"POST /v1/revisions/{revision}/rollback":                 access.Operator,
	"GET /v1/pools":                                          access.Viewer,
	"GET /v1/pools/{name}":                                   access.Viewer,
	"PUT /v1/pools/{name}":                                   access.Operator,
	"DELETE /v1/pools/{name}":                                access.Operator,
	"GET /v1/services":                                       access.Viewer,
	"GET /v1/services/{name}":                                access.Viewer,
	"PUT /v1/services/{name}":                                access.Operator,
	"PATCH /v1/services/{name}":                              access.Operator,
	"DELETE /v1/services/{name}":                             access.Operator,
	"GET /v1/services/{name}/replicas":                       access.Viewer,
	"GET /v1/services/{name}/status":                         access.Viewer,
	"GET /v1/status":                                         access.Viewer,
	"GET /v1/services/{name}/flows":                          access.Viewer,
	"PUT /v1/services/{name}/replicas/{address}":             access.Operator,
	"PATCH /v1/services/{name}/replicas/{address}":           access.Operator,
	"DELETE /v1/services/{name}/replicas/{address}":          access.Operator,
	"GET /v1/replicas":                                       access.Viewer,
	"GET /v1/flows":                                          access.Viewer,
	"GET /v1/counters":                                       access.Viewer,
	"POST /v1/explain":                                       access.Viewer,
	"POST /v1/explain/batch":                                 access.Viewer,
	"GET /v1/interfaces":                                     access.Viewer,
	"PUT /v1/interfaces/{name}":                              access.Operator,
	"DELETE /v1/interfaces/{name}":                           access.Operator,
	"GET /v1/overrides":                                      access.Viewer,
	"PUT /v1/overrides":                                      access.Operator,
	"DELETE /v1/overrides":                                   access.Operator,
	"GET /v1/services/{name}/replicas/{address}/override":    access.Viewer,
	"PUT /v1/services/{name}/replicas/{address}/override":    access.Operator,
	"DELETE /v1/services/{name}/replicas/{address}/override": access.Operator,
	"GET /v1/verify":                                         access.Viewer,
	"POST /v1/verify/repair":                                 access.Operator,
	"GET /v1/monitor":                                        access.Operator,
	"GET /v1/events":                                         access.Viewer,
	"GET /healthz":                                           access.Viewer,
	"GET /readyz":                                            access.Viewer,
	"GET /metrics":                                           access.Viewer,
	"GET /docs":                                              access.Viewer,
	"/":                                                      access.Viewer, // no such route: who may read may learn that
}

// needed returns the role that a route needs.
func needed(route string) access.Role {
	if role, stated := roles[route]; stated {
		return role
	}
	for _, suffix := range []string{".json", ".yaml", "-3.0.json", "-3.0.yaml"} {
		if route == "GET /openapi"+suffix {
			return access.Viewer
		}
	}
	return access.Operator
}

// describeRole writes the role that an operation needs, and how clients are known, into its description.
func describeRole(api *huma.OpenAPI, op *huma.Operation) {
	if api.Components.SecuritySchemes == nil {
		api.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
			"token":       {Type: "http", Scheme: "bearer", Description: "Over TCP: a token of lbctl token new."},
			"certificate": {Type: "mutualTLS", Description: "Over TCP: a certificate of the client CA that serve --operators or --viewers names."},
		}
		api.Security = []map[string][]string{{}, {"token": {}}, {"certificate": {}}} // {}: the unix socket tells who it is
	}
	if op.Extensions == nil {
		op.Extensions = map[string]any{}
	}
	if role, stated := roles[op.Method+" "+op.Path]; stated {
		op.Extensions["x-lbctl-role"] = role.String()
	}
}

// asked is what is known of a request while it is answered.
type asked struct {
	who access.Identity
	// event is what the audit log is told of it.
	event access.Event
}

type askedKey struct{}

// askedBy returns what is known of a request, nil if nothing is.
func askedBy(ctx context.Context) *asked {
	a, _ := ctx.Value(askedKey{}).(*asked)
	return a
}

// actorOf returns who asks, as revisions have it.
func actorOf(ctx context.Context) string {
	if a := askedBy(ctx); a != nil {
		return a.who.Name
	}
	return "api"
}

// Changed returns the event of a change that was made, with its fields.
func Changed(event access.Event, now *engine.Snapshot, done engine.Plan) access.Event {
	if done.Before.Equal(done.After) {
		return event
	}
	event.Revision = now.Number
	all, omitted := wire.Differences(done.Before, done.After, access.MaxChanges)
	for _, c := range all {
		c = wire.HideChange(c)
		event.Change(c.Field, c.Before, c.After)
	}
	event.Omitted = omitted
	return event
}

// guard answers requests of those who may make them, and has the changes recorded. It is before everything else.
func (s *Server) guard(next http.Handler) http.Handler {
	foreign := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route := s.routeOf(r)
		who, err := s.identify(r)
		a := &asked{who: who, event: access.Event{Who: who, Operation: route, Path: r.URL.Path}}
		need := needed(route)
		switch {
		case err != nil:
			s.refuse(w, a, unknown(w, err))
		case !who.Role.Allows(need):
			s.refuse(w, a, s.lacking(who, need, route))
		case r.TLS != nil && strings.HasPrefix(route, "GET /debug/"):
			s.refuse(w, a, &api.Problem{Status: http.StatusForbidden, Detail: "profiles are served on the unix socket alone", Hint: "ask on the daemon's host"})
		case r.TLS != nil && foreign.Check(r) != nil: // a browser has the certificate, and another site's page asks
			s.refuse(w, a, &api.Problem{Status: http.StatusForbidden, Detail: "the request is of another site's page", Hint: "use lbctl, or another client that is no browser"})
		case r.ContentLength != 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead): // until it is read the end of the connection is not seen
			w.Header().Set("Connection", "close")
			write(w, &api.Problem{Status: http.StatusBadRequest, Detail: "a body, which " + r.Method + " does not take", Hint: "send none"})
		default:
			ctx := context.WithValue(r.Context(), askedKey{}, a)
			if r.TLS != nil {
				held, end := context.WithCancel(ctx)
				defer end()
				defer s.credentials.Hold(func() bool { is, err := s.identify(r); return err == nil && is.Role.Allows(need) }, end)()
				ctx = held
			}
			s.answer(next, w, r.WithContext(ctx), a, need)
		}
	})
}

// answer answers an allowed request.
func (s *Server) answer(next http.Handler, w http.ResponseWriter, r *http.Request, a *asked, need access.Role) {
	if need != access.Operator || r.Method == http.MethodGet || r.Method == http.MethodHead {
		next.ServeHTTP(w, r)
		return
	}
	seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		a.event.Status = seen.status
		s.audit.Record(a.event)
	}()
	next.ServeHTTP(seen, r)
}

// identify returns who has sent a request. Errors: access.ErrUnknown.
func (s *Server) identify(r *http.Request) (access.Identity, error) {
	p := peerOf(r.Context())
	if p == nil {
		return access.Identity{}, access.ErrUnknown
	}
	if r.TLS == nil {
		return p.who, nil
	}
	who, err := s.credentials.Identify(s.policy, r)
	who.From = p.who.From
	return who, err
}

// refuse answers with a problem, and ends the connection: what else was sent is not read.
func (s *Server) refuse(w http.ResponseWriter, a *asked, p *api.Problem) {
	w.Header().Set("Connection", "close")
	a.event.Status, a.event.Detail = p.Status, p.Detail
	s.audit.Record(a.event)
	write(w, p)
}

// unknown is the answer to somebody who is not known: it does not say why.
func unknown(w http.ResponseWriter, err error) *api.Problem {
	w.Header().Set("WWW-Authenticate", `Bearer realm="lbctl"`)
	return &api.Problem{Status: http.StatusUnauthorized, Detail: err.Error(),
		Hint: "name a token (--token-file, LBCTL_TOKEN_FILE) or a certificate (--client-cert and --client-key) that the daemon knows and that has not expired"}
}

// lacking is the answer to somebody whose role is not enough.
func (s *Server) lacking(who access.Identity, need access.Role, route string) *api.Problem {
	is := "has no role"
	if who.Role != access.None {
		is = "is " + article(who.Role)
	}
	hint := "ask one of them"
	if need == access.Operator {
		hint = "ask an operator, or have serve --operators name you"
	}
	return &api.Problem{Status: http.StatusForbidden,
		Detail: fmt.Sprintf("%s %s, and %s needs %s", who.Name, is, route, article(need)), Hint: hint + ": " + s.policy.Needs(need)}
}

func article(r access.Role) string {
	if r == access.Operator {
		return "an operator"
	}
	return "a viewer"
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap serves http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
