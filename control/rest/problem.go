package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"lbctl/control/api"
	"lbctl/control/config"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/lb"
)

// hinter is an error that says what to do about it.
type hinter interface{ Hint() string }

// problem turns an error into the body of an answer.
func problem(err error) *api.Problem {
	var already *api.Problem
	if errors.As(err, &already) {
		point(already)
		return already
	}
	status, hint := classify(err)
	p := &api.Problem{
		Type:   "about:blank",
		Title:  http.StatusText(status),
		Status: status,
		Detail: err.Error(),
		Hint:   hint,
	}
	var h hinter
	if errors.As(err, &h) {
		p.Hint = h.Hint()
	}
	var wrong *intent.Error
	if errors.As(err, &wrong) {
		for _, f := range wrong.Problems {
			p.Errors = append(p.Errors, api.Field{Location: location(f.Field), Message: f.Reason, Hint: f.Hint})
		}
	}
	var syntax *config.SyntaxError
	if errors.As(err, &syntax) {
		p.Errors = []api.Field{{Location: "body", Message: syntax.Error()}}
	}
	point(p)
	return p
}

// point gives the fields of the body their JSON pointers.
func point(p *api.Problem) {
	for n, f := range p.Errors {
		if field, is := strings.CutPrefix(f.Location, "body"); is {
			p.Errors[n].Pointer = pointer(field)
		}
	}
}

// pointer turns ".services[0].vip" into "#/services/0/vip". In its tokens ~ and / have escapes (RFC 6901), and in a fragment
// what no URI has, has one, too (RFC 3986).
func pointer(field string) string {
	var b strings.Builder
	b.WriteByte('#')
	for part := range strings.FieldsFuncSeq(field, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		b.WriteString("/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(part)))
	}
	return b.String()
}

// pathPrefix begins the name of a field in the path of a request, queryPrefix that of a parameter, headerPrefix that of a
// header; other fields are in its body.
const (
	pathPrefix   = "path."
	queryPrefix  = "query."
	headerPrefix = "header."
)

// inPath marks a field of an error as one of the path.
func inPath(err error, field string) error {
	var wrong *intent.Error
	if errors.As(err, &wrong) {
		for n, p := range wrong.Problems {
			if p.Field == field {
				wrong.Problems[n].Field = pathPrefix + field
			}
		}
	}
	return err
}

// inQuery marks all fields of an error as parameters of the query.
func inQuery(err error) error {
	var wrong *intent.Error
	if errors.As(err, &wrong) {
		for n := range wrong.Problems {
			wrong.Problems[n].Field = queryPrefix + wrong.Problems[n].Field
		}
	}
	return err
}

// refuseEmpty refuses a request with a parameter without a value, as of a script whose variable is not set: the framework takes it for
// one that is left out, which asks for all, or for a change that was to be tried.
func refuseEmpty(c huma.Context, next func(huma.Context)) {
	var ps intent.Problems
	asked := c.URL()
	of := asked.Query()
	for _, name := range slices.Sorted(maps.Keys(of)) {
		if slices.Contains(of[name], "") {
			ps.Add(name, "give it a value, or leave it out", "it has no value")
		}
	}
	err := inQuery(ps.Err())
	if err == nil {
		next(c)
		return
	}
	p := problem(err)
	if a := askedBy(c.Context()); a != nil {
		a.event.Detail = p.Detail
	}
	_, w := humago.Unwrap(c)
	write(w, p)
}

func location(field string) string {
	switch {
	case field == "":
		return "body"
	case strings.HasPrefix(field, pathPrefix), strings.HasPrefix(field, queryPrefix), strings.HasPrefix(field, headerPrefix):
		return field
	}
	return "body." + field
}

// classify returns the status of an error, and a hint for errors without one.
func classify(err error) (status int, hint string) {
	var syntax *config.SyntaxError
	var precondition *preconditionError
	switch {
	case errors.As(err, &syntax):
		return http.StatusBadRequest, "correct the request; /openapi.json describes it"
	case errors.As(err, &precondition):
		return http.StatusPreconditionFailed, "leave the condition out, or name another"
	case errors.Is(err, engine.ErrStale):
		return http.StatusPreconditionFailed, "read it again, and decide again"
	case errors.Is(err, lb.ErrInvalid):
		return http.StatusUnprocessableEntity, "correct the request; /openapi.json describes it"
	case errors.Is(err, lb.ErrNotFound):
		return http.StatusNotFound, "list what there is: lbctl get services, lbctl get replicas, lbctl get interfaces"
	case errors.Is(err, lb.ErrConflict):
		return http.StatusConflict, "the two exclude each other: change one"
	case errors.Is(err, lb.ErrDenied):
		return http.StatusForbidden, "run the daemon as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"
	case errors.Is(err, lb.ErrFull):
		return http.StatusInsufficientStorage, "remove something, or start the daemon with larger datapath.limits"
	case errors.Is(err, lb.ErrUnsupported):
		return http.StatusNotImplemented, "see what the kernel and the driver can do"
	}
	return http.StatusInternalServerError, "see the daemon's log"
}

// recoverPanics answers a panic of a handler with 500 and logs it: a bug in one
// request must not stop the daemon.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler {
				panic(cause) // net/http's own way to hang up
			}
			s.log.Error("panic", "request", r.Method+" "+r.URL.Path, "cause", cause, "stack", string(debug.Stack()))
			write(w, &api.Problem{Status: http.StatusInternalServerError, Detail: fmt.Sprintf("internal error: %v", cause),
				Hint: "see the daemon's log, and report it"})
		}()
		next.ServeHTTP(w, r)
	})
}

// logFailure keeps for the audit log why a request is refused, and logs an answer that the daemon is to blame for. That it is not
// ready is no failure of the request, and is logged when it becomes so.
func (s *Server) logFailure(c huma.Context, _ string, v any) (any, error) {
	p, is := v.(*api.Problem)
	if a := askedBy(c.Context()); is && a != nil {
		a.event.Detail = p.Detail
	}
	if is && p.Status >= http.StatusInternalServerError && c.URL().Path != readyPath {
		s.log.Error("request failed", "request", c.Method()+" "+c.URL().Path, "status", p.Status, "error", p.Detail, "hint", p.Hint)
	}
	return v, nil
}

// methods are all that routes have.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodPost, http.MethodDelete}

// noRoute answers a request without a route: 405 if there is one for another method, else 404. OPTIONS is answered with the methods
// that there are.
func noRoute(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range methods {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := mux.Handler(probe); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	p := &api.Problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("no such path: %s", r.URL.Path), Hint: "/openapi.json lists them"}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(append(allowed, http.MethodOptions), ", "))
		p.Status = http.StatusMethodNotAllowed
		p.Detail = fmt.Sprintf("%s does not take %s", r.URL.Path, r.Method)
		p.Hint = "use " + strings.Join(slices.DeleteFunc(allowed, func(m string) bool { return m == http.MethodHead }), " or ")
	}
	if len(allowed) > 0 && r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	write(w, p)
}

// write answers with a problem where the framework is not involved.
func write(w http.ResponseWriter, p *api.Problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	// The client may be gone; there is nobody else to tell.
	_ = json.NewEncoder(w).Encode(p)
}
