package rest_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/api"
	"lbctl/lb"
)

func TestApplyForwardsStoresAndAnswers(t *testing.T) {
	w := newWorld(t)
	change := w.apply(webAndDNS)
	if change.Revision != 2 || len(change.Steps) != 2 {
		t.Errorf("change %+v, want revision 2 and 2 steps", change)
	}
	want := map[string]int{"tcp 192.0.2.1:80": 2, "udp 192.0.2.1:53": 1}
	if diff := cmp.Diff(want, w.forwarded()); diff != "" {
		t.Errorf("forwarded (-want +got):\n%s", diff)
	}
	stored, err := w.store.Latest(t.Context())
	if err != nil || stored.Number != 2 || len(stored.Intent.Services) != 2 {
		t.Errorf("stored %+v, %v", stored, err)
	}
	if again := w.apply(webAndDNS); again.Revision != 2 || len(again.Steps) != 0 {
		t.Errorf("the same again: %+v, want revision 2 and no steps", again)
	}
}

func TestSingleChanges(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	three := int64(3)
	steps := []struct {
		name string
		do   func() (api.Change, error)
		want map[string]int
	}{
		{"put service", func() (api.Change, error) {
			return w.client.PutService(ctx, doc(t, webAndDNS).Services[1])
		}, map[string]int{"udp 192.0.2.1:53": 1}},
		{"another", func() (api.Change, error) {
			return w.client.PutService(ctx, doc(t, webAndDNS).Services[0])
		}, map[string]int{"udp 192.0.2.1:53": 1, "tcp 192.0.2.1:80": 2}},
		{"put replica", func() (api.Change, error) {
			return w.client.PutReplica(ctx, "web", api.Replica{Address: "10.0.0.3:80"})
		}, map[string]int{"udp 192.0.2.1:53": 1, "tcp 192.0.2.1:80": 3}},
		{"weight", func() (api.Change, error) {
			return w.client.PutReplica(ctx, "dns", api.Replica{Address: "10.0.0.1:53", Weight: &three})
		}, map[string]int{"udp 192.0.2.1:53": 1, "tcp 192.0.2.1:80": 3}},
		{"delete replica", func() (api.Change, error) {
			return w.client.DeleteReplica(ctx, "web", "10.0.0.1:80")
		}, map[string]int{"udp 192.0.2.1:53": 1, "tcp 192.0.2.1:80": 2}},
		{"delete service", func() (api.Change, error) {
			return w.client.DeleteService(ctx, "dns", false)
		}, map[string]int{"tcp 192.0.2.1:80": 2}},
	}
	for _, s := range steps {
		if _, err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if diff := cmp.Diff(s.want, w.forwarded()); diff != "" {
			t.Errorf("%s: forwarded (-want +got):\n%s", s.name, diff)
		}
	}
	got, err := w.client.Service(ctx, "web")
	if err != nil || got.Replicas[0].Address != "10.0.0.2:80" {
		t.Errorf("web = %+v, %v", got, err)
	}
}

func TestInterfaces(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if _, err := w.client.Attach(ctx, "eth0", "auto", false); err != nil {
		t.Fatal(err)
	}
	want := api.Interfaces{Interfaces: []api.InterfaceStatus{{Name: "eth0", State: "attached", IfIndex: 2, Mode: "native", RequestedMode: "auto"}}}
	got, err := w.client.Interfaces(ctx)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("interfaces (-want +got): %s %v", diff, err)
	}
	w.apply(web) // says nothing of interfaces
	if got, err := w.client.Interfaces(ctx); err != nil || len(got.Interfaces) != 1 {
		t.Errorf("a file without interfaces detached: %+v, %v", got, err)
	}
	w.apply("interfaces: []\n" + web)
	if got, err := w.client.Interfaces(ctx); err != nil || len(got.Interfaces) != 0 {
		t.Errorf("a file with an empty list left %+v, %v", got, err)
	}
	_, err = w.client.Attach(ctx, "eth9", "", false)
	e := wantStatus(t, err, http.StatusNotFound)
	if !errors.Is(err, lb.ErrNotFound) || !strings.Contains(e.Hint(), "ip link") {
		t.Errorf("attach of nothing: %v, %s", err, e.Hint())
	}
	_, err = w.client.Detach(ctx, "eth0", false)
	wantStatus(t, err, http.StatusNotFound)
}

func TestRefusalChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	before := w.forwarded()
	w.dp.refuseWith(func(s lb.Service) error {
		if s.VIP.Address.Port() == 53 && len(s.Replicas) > 0 {
			return fmt.Errorf("set service: %w", lb.ErrFull)
		}
		return nil
	})
	for name, c := range map[string]struct {
		text   string
		status int
	}{
		"the second step is refused": {strings.ReplaceAll(webAndDNS, "10.0.0.2:80", "10.0.0.9:80"), http.StatusInsufficientStorage},
		"invalid":                    {strings.ReplaceAll(web, "192.0.2.1:80", "192.0.2.1:0"), http.StatusUnprocessableEntity},
		"other limits":               {"datapath: {limits: {services: 7}}\n" + web, http.StatusConflict},
		"another key":                {"datapath: {toeplitz_key: symmetric}\n" + web, http.StatusConflict},
		"another answer":             {"datapath: {vip_no_service: reject}\n" + web, http.StatusConflict},
		"no such interface":          {"interfaces: [{name: eth0}, {name: eth9}]\n" + webAndDNS[:len(web)], http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.client.Apply(t.Context(), doc(t, c.text))
			wantStatus(t, err, c.status)
			w.wantUnchanged(t, before)
		})
	}
}

// wantUnchanged fails unless datapath, store and API are at revision 2.
func (w *world) wantUnchanged(t *testing.T, forwarded map[string]int) {
	t.Helper()
	services, err := w.dp.Services()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(forwarded, w.forwarded()); diff != "" {
		t.Errorf("forwarded (-before +after):\n%s", diff)
	}
	for _, s := range services {
		for _, r := range s.Replicas {
			if strings.HasPrefix(r.Address.String(), "10.0.0.9") {
				t.Errorf("%v still has the replica of the refused change", s.VIP)
			}
		}
	}
	if attached, err := w.dp.Interfaces(); err != nil || len(attached) != 0 {
		t.Errorf("attached: %v, %v", attached, err)
	}
	if stored, err := w.store.Latest(t.Context()); err != nil || stored.Number != 2 {
		t.Errorf("stored revision %d, %v", stored.Number, err)
	}
	if _, revision, err := w.client.Config(t.Context()); err != nil || revision != 2 {
		t.Errorf("answered revision %d, %v", revision, err)
	}
	if _, err := w.client.Ready(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
}

func TestPlanChangesNothing(t *testing.T) {
	w := newWorld(t)
	plan, err := w.client.Plan(t.Context(), doc(t, webAndDNS))
	if err != nil || len(plan.Steps) != 2 || plan.Revision != 1 {
		t.Errorf("plan %+v, %v", plan, err)
	}
	if got := w.forwarded(); len(got) != 0 {
		t.Errorf("forwarded after plan: %v", got)
	}
}

func TestStaleRevisionIsRefused(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	_, err := w.client.ApplyAt(t.Context(), doc(t, webAndDNS), 1)
	wantStatus(t, err, http.StatusPreconditionFailed)
	if !errors.Is(err, lb.ErrConflict) {
		t.Errorf("%v is not lb.ErrConflict", err)
	}
	if _, err := w.client.ApplyAt(t.Context(), doc(t, webAndDNS), 2); err != nil {
		t.Errorf("at the right revision: %v", err)
	}
	for match, want := range map[string]int{`"7"`: 412, `W/"3"`: 412, "3": 400, "": 412, `"7", *`: 400, `"7", "3"`: 200, "*": 200} {
		w := newWorld(t)
		w.apply(web)
		w.apply(webAndDNS)
		response, body := w.request("DELETE", "/v1/services/dns", "", "If-Match", match)
		if response.StatusCode != want {
			t.Errorf("If-Match %s: status %d, want %d: %s", match, response.StatusCode, want, body)
		}
	}
}

// TestConcurrentChanges: of writers that all read one revision, one wins; and no reader
// sees half of a change.
func TestConcurrentChanges(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	_, revision, err := w.client.Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var readers, writers sync.WaitGroup
	readers.Go(func() { w.readWhole(done) })
	var mu sync.Mutex
	won := 0
	for n := range 8 {
		writers.Go(func() {
			text := strings.ReplaceAll(webAndDNS, "10.0.0.", fmt.Sprintf("10.0.%d.", n+1))
			_, err := w.client.ApplyAt(t.Context(), doc(t, text), revision)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, lb.ErrConflict) {
				t.Errorf("writer %d: %v", n, err)
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	if won != 1 {
		t.Errorf("%d writers won, want 1", won)
	}
}

// TestConcurrentEdits: of writers that each edit what they read, none fails and none undoes another's.
func TestConcurrentEdits(t *testing.T) {
	w := newWorld(t)
	w.apply(webAndDNS)
	const edits = 24
	var writers sync.WaitGroup
	for range edits {
		writers.Go(func() {
			_, err := w.client.SetByHand(t.Context(), "dns", "10.0.0.1:53", false, func(_ string, r api.Replica, _ api.ByHand) (*api.Override, error) {
				*r.Weight++
				return &api.Override{Weight: r.Weight}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	all, err := w.client.Replicas(t.Context(), "dns")
	if err != nil || *all.Replicas[0].Weight != 3+edits {
		t.Errorf("after %d edits %+v, %v", edits, all, err)
	}
}

// readWhole reads until done, and fails on a state that no writer wrote: all replicas of one
// writer share their third byte.
func (w *world) readWhole(done <-chan struct{}) {
	for {
		services, err := w.client.Services(w.t.Context())
		if err != nil {
			w.t.Error(err)
			return
		}
		nets := map[string]bool{}
		for _, s := range services.Services {
			for _, r := range s.Replicas {
				nets[r.Address[:len("10.0.0")]] = true
			}
		}
		if len(nets) > 1 {
			w.t.Errorf("read a mix: %+v", services)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
