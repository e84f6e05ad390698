package rest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"lbctl/control/api"
)

// hostileBodies are what a body of some megabytes may repeat, the status, and what is said.
var hostileBodies = []struct {
	name, before, repeated, after string
	status                        int
	what                          string
}{
	{"brackets", "", "[", "", 400, "ends too early"},
	{"braces", "", `{"a":`, "", 400, "ends too early"},
	{"brackets in a field", `{"services":`, "[", "", 400, "ends too early"},
	{"unknown fields", `{"services":[]`, `,"a":1`, "}", 422, "body.a: unknown field (and"},
	{"a field again and again", `{"services":[]`, `,"services":[]`, "}", 422, "services: a field twice (and"},
	{"services without fields", `{"services":[{}`, ",{}", "]}", 422, "services: more than 65536 elements"},
	{"elements of the wrong type", `{"services":[1`, ",1", "]}", 422, "services[0]: "},
	{"replicas without fields", `{"services":[{"name":"a","vip":"192.0.2.9:80","replicas":[{}`, ",{}", "]}]}", 422, "services[0].replicas"},
	{"a long name", `{"services":[{"name":"`, "a", `","vip":"192.0.2.9:80","replicas":[]}]}`, 422, "services[0].name"},
	{"a long key", `{"`, "a", `":1}`, 422, "unknown field"},
	{"space", "", " ", "", 400, "it is empty"},
}

// TestHostileBodies: the answer is short, the daemon goes on, and what a refused body took is returned to the system.
func TestHostileBodies(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	before := held()
	for _, c := range hostileBodies {
		body := c.before + strings.Repeat(c.repeated, (5<<18)/len(c.repeated)) + c.after
		response, text := w.request("PUT", "/v1/config", body)
		var p api.Problem
		if err := json.Unmarshal([]byte(text), &p); err != nil || response.StatusCode != c.status || !strings.Contains(p.Detail, strings.TrimPrefix(c.what, "body.")) {
			t.Errorf("%s: %d %.300s, want %d and %s", c.name, response.StatusCode, text, c.status, c.what)
		}
		if len(text) > 100*1000 || len(p.Errors) > 100 {
			t.Errorf("%s: an answer of %d bytes, %d problems", c.name, len(text), len(p.Errors))
		}
	}
	runtime.GC()
	if after := held(); after > before+64 {
		t.Errorf("%d MB are held, %d before", after, before)
	}
	if got := w.forwarded(); len(got) != 1 {
		t.Errorf("forwarded: %v", got)
	}
}

// held returns the memory that the runtime has of the system and has not returned, in MB. That of the race detector, which keeps
// what it once took for its own records, is not among it.
func held() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int((m.Sys - m.HeapReleased) >> 20)
}

// strictBodies are bodies that a lenient reader takes for PUT /v1/services/web.
var strictBodies = map[string]string{
	`{"name":"web","name":"web","vip":"192.0.2.1:80","replicas":[]}`:                        "name: a field twice",
	`{"Name":"web","vip":"192.0.2.1:80","replicas":[]}`:                                     "did you mean name?",
	`{"name":"web","VIP":"192.0.2.1:80","replicas":[]}`:                                     "did you mean vip?",
	`{"name":"web","vip":"192.0.2.1:80","replicas":[],"seed":null}`:                         "seed: null",
	`{"name":"web","vip":"192.0.2.1:80","replicas":null}`:                                   "replicas: null",
	`{"name":"web","vip":"192.0.2.1:80","replicas":[null]}`:                                 "replicas[0]: null",
	`{"name":"web","vip":"192.0.2.1:80","replicas":[{"address":"10.0.0.1:80","Weight":3}]}`: "did you mean weight?",
	`{"name":"web","vip":"192.0.2.1:80","replicas":[],"seed":1.0}`:                          "seed: ",
	`{"name":"web","vip":"192.0.2.1:80","replicas":[],"seed":1e3}`:                          "seed: ",
	`{"name":"web","vip":"192.0.2.1:80","replicas":[],"seed":"1"}`:                          "seed: ",
	`{"name":"web","vip":"192.0.2.1:80","replicas":[],"seed":99999999999999999999}`:         "seed: ",
	`{"name":"web","vip":"192.0.2.1:80","replicas":[],"seed":-1}`:                           "seed: -1 is out of range",
	`{"name":"web","vip":"192.0.2.1:80","replicas":{}}`:                                     "replicas: an object",
	`{"name":"web","vip":"192.0.2.1:80","replicas":[],"idle":90}`:                           "idle: ",
	"{\"name\":\"web\xff\",\"vip\":\"192.0.2.1:80\",\"replicas\":[]}":                       "in UTF-8",
	`{"name":"web","vip":"192.0.2.1:80","replicas":[]} {}`:                                  "something follows",
	`{"name":"web","vip":"192.0.2.1:80","replicas":[],}`:                                    "not JSON",
	`{"name":"web","vip":"192.0.2.1:80","replicas":[]`:                                      "ends too early",
	"\uFEFF" + `{"name":"web","vip":"192.0.2.1:80","replicas":[]}`:                          "not JSON",
	`{"name":"web","vip":"192.0.2.1:80","replicas":[],"seed":010}`:                          "not JSON",
	`null`: "null",
	`[]`:   "a list",
	`"x"`:  "wrong type",
}

func TestBodiesAreReadStrictly(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	for body, want := range strictBodies {
		response, text := w.request("PUT", "/v1/services/web", body, "Content-Type", "application/json")
		if code := response.StatusCode; code != 422 && code != 400 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s, want %s", body, response.StatusCode, text, want)
		}
	}
	if response, text := w.request("PUT", "/v1/services/web", "{}", "Content-Type", "application/x-yaml"); response.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("YAML: %d %s", response.StatusCode, text)
	}
	if _, revision, err := w.client.Config(t.Context()); err != nil || revision != 2 {
		t.Errorf("revision %d, %v: something changed", revision, err)
	}
	good := `{"name":"web","vip":"192.0.2.1:80","replicas":[{"address":"10.0.0.1:80"}],"slots_in_transition":7}`
	if response, text := w.request("PUT", "/v1/services/web", good); response.StatusCode != http.StatusOK {
		t.Errorf("a right body: %d %s", response.StatusCode, text)
	}
}

// TestConnectionsAreLimited: a process that holds very many connections is refused more, and gets one again for each that it closes.
func TestConnectionsAreLimited(t *testing.T) {
	w := newWorld(t)
	w.client.Close()
	var held []net.Conn
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	answer := func(c net.Conn) int {
		fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("connection %d: %v", len(held), err)
		}
		io.Copy(io.Discard, r.Body)
		return r.StatusCode
	}
	dial := func() int {
		c, err := net.Dial("unix", w.socket)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
		return answer(c)
	}
	refused := 0
	for range 200 {
		switch code := dial(); code {
		case http.StatusOK:
			if refused > 0 {
				t.Fatal("taken after one was refused")
			}
		case http.StatusServiceUnavailable:
			refused++
		default:
			t.Fatalf("status %d", code)
		}
	}
	if refused < 100 {
		t.Fatalf("%d of 200 refused", refused)
	}
	held[0].Close()
	for deadline := time.Now().Add(10 * time.Second); dial() != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatal("refused after a connection was closed")
		}
	}
}
