package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"lbctl/control/api"
)

// survive answers a panic of a handler with 500 and logs it: a bug in one
// request must not stop the daemon.
func (s *Server) survive(next http.Handler) http.Handler {
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

// noRoute answers what no route takes: 405 where another method would do, else 404.
func noRoute(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete} {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := mux.Handler(probe); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	p := &api.Problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("no such path: %s", r.URL.Path), Hint: "/openapi.json lists them"}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		p.Status = http.StatusMethodNotAllowed
		p.Detail = fmt.Sprintf("%s does not take %s", r.URL.Path, r.Method)
		p.Hint = "use " + strings.Join(allowed, " or ")
	}
	write(w, p)
}

// write answers with a problem, outside the framework.
func write(w http.ResponseWriter, p *api.Problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	// The client may be gone; there is nobody else to tell.
	_ = json.NewEncoder(w).Encode(p)
}
