package replica

import (
	"io"
	"net/http"
	"slices"
	"strconv"

	"lbctl/rss/packet"
	"lbctl/testbed/journal"
)

// kept is the size in bytes up to which a site's objects are kept in memory. The
// objects of a larger one are made anew for every request.
const kept = 64 << 20

// handler answers requests. Safe for concurrent use.
type handler struct {
	config Config
	index  string
	bodies [][]byte
	log    *journal.Journal[Access]
}

func newHandler(c Config) (*handler, error) {
	h := &handler{config: c, index: strconv.Itoa(c.Index)}
	if c.Site.Bytes() <= kept {
		for n := range c.Site.Objects {
			h.bodies = append(h.bodies, h.make(n))
		}
	}
	if c.Log == "" {
		return h, nil
	}
	var err error
	h.log, err = journal.Create[Access](c.Log)
	return h, err
}

func (h *handler) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /objects/{number}", h.object)
	mux.HandleFunc("GET /healthz", h.name)
	mux.HandleFunc("GET /{$}", h.name)
	return mux
}

// name says which replica this is.
func (h *handler) name(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set(Header, h.index)
	_, _ = io.WriteString(w, "replica "+h.index+"\n")
}

// object serves one object and logs it, the unknown ones too.
func (h *handler) object(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(Header, h.index)
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || n < 0 || n >= h.config.Site.Objects {
		http.Error(w, "no such object", http.StatusNotFound)
		h.record(r, n, http.StatusNotFound, 0)
		return
	}
	body := h.body(n)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a client that went away says so itself
	h.record(r, n, http.StatusOK, len(body))
}

func (h *handler) body(n int) []byte {
	if h.bodies == nil {
		return h.make(n)
	}
	return h.bodies[n]
}

func (h *handler) make(n int) []byte {
	body := h.config.Site.Body(n)
	if slices.Contains(h.config.Wrong, n) {
		body[len(body)/2] ^= 1
	}
	return body
}

func (h *handler) record(r *http.Request, object, status, bytes int) {
	if h.log == nil {
		return
	}
	flow, _ := r.Context().Value(flowKey{}).(packet.Flow)
	h.log.Append(Access{Flow: flow, Object: object, Status: status, Bytes: bytes})
}

func (h *handler) close() error {
	if h.log == nil {
		return nil
	}
	return h.log.Close()
}

// Access is one line of a replica's access log (JSON, one a line).
type Access struct {
	// Flow is the connection as the replica saw it: client > replica.
	Flow packet.Flow
	// Object is the number of the requested web object, from 0.
	Object int
	// Status is the HTTP status answered; Bytes the body's length.
	Status, Bytes int
}
