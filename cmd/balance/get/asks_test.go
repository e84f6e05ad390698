package get_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
)

// asked passes requests on to a daemon, and notes them.
type asked struct {
	mu    sync.Mutex
	paths []string
	// takes, unless nil, is called before an answer is.
	takes func()
}

// before serves in front of a daemon, on a socket.
func (a *asked) before(t *testing.T, daemon, socket string) {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "lbctl"})
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", daemon)
	}}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.paths = append(a.paths, r.URL.RequestURI())
		a.mu.Unlock()
		if a.takes != nil {
			a.takes()
		}
		proxy.ServeHTTP(w, r)
	})}
	go web.Serve(l)
	t.Cleanup(func() { web.Close(); proxy.Transport.(*http.Transport).CloseIdleConnections() })
}

// TestAsksForOne: who wants to know of one service asks for that of no other.
func TestAsksForOne(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig), "--socket", w.Path("daemon"))
	var a asked
	a.before(t, w.Path("daemon"), w.Path("s"))
	w.Clock.Time, w.Clock.Timer = clitest.Steps(func() {})
	for line, want := range map[string][]string{
		"get service web":                      {"/v1/services?service=web"},
		"get replicas web":                     {"/v1/replicas?service=web"},
		"get replicas web -o json":             {"/v1/replicas?next_hops=true&service=web"},
		"get replicas web -o wide":             {"/v1/replicas?service=web", "/v1/replicas?next_hops=true&service=web", "/v1/flows?service=web"},
		"get flows web":                        {"/v1/flows?service=web"},
		"get counters":                         {"/v1/counters?by=reason"},
		"get counter no_replica -o json":       {"/v1/counters?by=reason"},
		"get counters -o json":                 {"/v1/counters"},
		"describe interface eth0":              {"/v1/interfaces", "/v1/counters?by=reason", "/v1/events?all=true&follow=false"},
		"describe service web":                 {"/v1/services/web", "/v1/services/web/status", "/v1/replicas?service=web", "/v1/replicas?next_hops=true&service=web", "/v1/flows?service=web", "/v1/events?all=true&follow=false&service=web"},
		"describe replica web 10.0.0.1:8080":   {"/v1/services/web", "/v1/replicas?service=web", "/v1/replicas?next_hops=true&service=web", "/v1/flows?service=web", "/v1/events?all=true&follow=false&service=web"},
		"wait --for=condition=Ready":           {"/v1/status?limit=1"},
		"wait --for=condition=Ready web":       {"/v1/services/web/status"},
		"wait --for=revision=1":                {"/v1/status?limit=1"},
		"wait --for=healthy web":               {"/v1/replicas?service=web"},
		"wait --for=drained web":               {"/v1/flows?service=web"},
		"status":                               {"/v1/counters?by=reason", "/v1/counters?by=reason", "/readyz", "/v1/interfaces", "/v1/status"},
		"__complete get replicas w":            {"/v1/status"},
		"__complete replica set web 10":        {"/v1/services?service=web"},
		"__complete describe replica web 10.0": {"/v1/services?service=web"},
	} {
		a.paths = nil
		if code, _, stderr := w.Run(strings.Fields(line)...); code != cli.ExitDone {
			t.Errorf("lbctl %s: exit %d, %s", line, code, stderr)
		}
		if diff := cmp.Diff(want, a.paths); diff != "" {
			t.Errorf("lbctl %s asks for (-want +got):\n%s", line, diff)
		}
	}
	a.paths = nil
	w.Refused("get replicas wbe", cli.ExitNotFound, `service "wbe": not found`, "did you mean web?")
	if !slices.Equal(a.paths, []string{"/v1/replicas?service=wbe", "/v1/status"}) {
		t.Errorf("of a service that there is not it asks for %v", a.paths)
	}
}

// TestStatusNames: of replicas that are not well the page says which they are, and asks for no others.
func TestStatusNames(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	text := strings.Replace(clitest.WebConfig, "name: web", "name: web\n    health: {type: exec, command: [/bin/false]}", 1) // none is ever well
	w.Serve("-f", w.Write("web.yaml", text), "--socket", w.Path("daemon"))
	var a asked
	a.before(t, w.Path("daemon"), w.Path("s"))
	code, out, _ := w.Run("status", "--over", "1ms")
	if want := "replica 10.0.0.1:8080 of web is "; code != cli.ExitFailed || !strings.Contains(out, want) || strings.Contains(out, "of dns") {
		t.Errorf("exit %d\n%s want %q", code, out, want)
	}
	if n := len(a.paths); n != 6 || a.paths[n-1] != "/v1/replicas?service=web" {
		t.Errorf("it asks for %v", a.paths)
	}
}

// TestLongAnswers: a rate is of the time between two counts, however long the second answer takes to come.
func TestLongAnswers(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig), "--socket", w.Path("daemon"))
	var now, long atomic.Int64
	a := asked{takes: func() { now.Add(long.Load()) }}
	a.before(t, w.Path("daemon"), w.Path("s"))
	w.Clock.Time = func() time.Time { return time.Unix(now.Load(), 0) }
	w.Clock.Timer = func(over time.Duration) <-chan time.Time {
		for range 20 {
			w.Memory.Process(2, make([]byte, 10)) // no whole Ethernet header
		}
		now.Add(int64(over / time.Second))
		long.Store(8)
		passed := make(chan time.Time)
		close(passed)
		return passed
	}
	if out := w.OK("get", "counters", "--since", "2s", "-o", "jsonpath={.packets_per_second}"); strings.TrimSpace(out) != "10" {
		t.Errorf("%s packets/s, want 10", out)
	}
}
