// Package profile serves the profiles of the daemon (net/http/pprof), none of them for long.
package profile

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"strconv"
)

// maxSeconds is how long a profile may take.
const maxSeconds = 60

// Routes adds GET /debug/pprof/. It is not part of the API, and is not described. Who may have it the caller decides.
func Routes(mux *http.ServeMux) {
	for path, handle := range map[string]http.HandlerFunc{
		"": pprof.Index, "profile": pprof.Profile, "trace": pprof.Trace, "symbol": pprof.Symbol,
	} {
		mux.HandleFunc("GET /debug/pprof/"+path, func(w http.ResponseWriter, r *http.Request) {
			text := r.FormValue("seconds")
			seconds, err := strconv.ParseFloat(text, 64)
			if text != "" && (err != nil || !(seconds > 0 && seconds <= maxSeconds)) {
				http.Error(w, fmt.Sprintf("seconds: %.20q: want more than 0, and at most %d", text, maxSeconds), http.StatusBadRequest)
				return
			}
			handle(w, r)
		})
	}
}
