package rest_test

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"lbctl/control/rest"
	"lbctl/lb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRestartAdoptsAndChangesNothing(t *testing.T) {
	dir, memory := shortDir(t), newMemory()
	w := start(t, dir, memory)
	w.apply("interfaces: [{name: eth0}]\n" + webAndDNS)
	w.stop()

	w = start(t, dir, memory)
	_, revision, err := w.client.Config(t.Context())
	if err != nil || revision != 2 {
		t.Errorf("revision %d after a restart, %v; want 2", revision, err)
	}
	if got := w.forwarded(); len(got) != 2 {
		t.Errorf("forwarded after a restart: %v", got)
	}
}

// TestCrashBetweenDatapathAndStore leaves the datapath ahead of the store, as a daemon
// does that dies there: nobody was told of the change, and the next start takes it back.
func TestCrashBetweenDatapathAndStore(t *testing.T) {
	dir, memory := shortDir(t), newMemory()
	w := start(t, dir, memory)
	w.apply(web)
	w.store.Close() // from here on nothing can be stored
	_, err := w.client.Apply(t.Context(), doc(t, webAndDNS))
	wantStatus(t, err, http.StatusInternalServerError)
	if diff := cmp.Diff(map[string]int{"tcp 192.0.2.1:80": 2}, w.forwarded()); diff != "" {
		t.Errorf("a change that could not be stored is not rolled back:\n%s", diff)
	}
	w.stop()

	intent := doc(t, webAndDNS)
	ahead := start(t, shortDir(t), memory) // the same datapath, another store: as if applied and killed
	if _, err := ahead.client.Apply(t.Context(), intent); err != nil {
		t.Fatal(err)
	}
	ahead.stop()
	w = start(t, dir, memory)
	if diff := cmp.Diff(map[string]int{"tcp 192.0.2.1:80": 2}, w.forwarded()); diff != "" {
		t.Errorf("forwarded after the restart (-stored +got):\n%s", diff)
	}
}

// TestPanicIsAnswered: a bug in one request is answered, rolled back, and the
// daemon goes on.
func TestPanicIsAnswered(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	w.dp.refuseWith(func(s lb.Service) error {
		if s.VIP.Address.Port() == 80 && len(s.Replicas) == 1 {
			panic("by the test") // in the second step
		}
		return nil
	})
	changed := strings.ReplaceAll(webAndDNS, ", {address: 10.0.0.2:80}", "")
	_, err := w.client.Apply(t.Context(), doc(t, changed))
	wantStatus(t, err, http.StatusInternalServerError)
	if diff := cmp.Diff(map[string]int{"tcp 192.0.2.1:80": 2}, w.forwarded()); diff != "" {
		t.Errorf("after the panic (-want +got):\n%s", diff)
	}
	if change := w.apply("services: []\n"); change.Revision != 3 {
		t.Errorf("the next change: %+v", change)
	}
}

// TestOutOfSync: a rollback that fails shows in readyz, until a change succeeds.
func TestOutOfSync(t *testing.T) {
	w := newWorld(t)
	w.apply(webAndDNS)
	w.dp.refuseWith(func(s lb.Service) error {
		back := s.VIP.Address.Port() == 53 && s.Replicas[0].Weight == 3
		if back || s.VIP.Address.Port() == 80 {
			return lb.ErrFull
		}
		return nil
	})
	both := strings.ReplaceAll(strings.ReplaceAll(webAndDNS, ", {address: 10.0.0.2:80}", ""), "weight: 3", "weight: 4")
	_, err := w.client.Apply(t.Context(), doc(t, both))
	wantStatus(t, err, http.StatusInsufficientStorage)
	_, err = w.client.Ready(t.Context())
	wantStatus(t, err, http.StatusServiceUnavailable)
	w.dp.refuse.Store(nil)
	w.apply(webAndDNS)
	if _, err := w.client.Ready(t.Context()); err != nil {
		t.Errorf("after it was put right: %v", err)
	}
	if got := w.forwarded()["tcp 192.0.2.1:80"]; got != 2 {
		t.Errorf("web has %d replicas, want 2", got)
	}
}

func TestListen(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, "d", "s")
	l, err := rest.Listen(path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v; want 0660", info.Mode(), err)
	}
	if _, err := rest.Listen(path, 0o660); !errors.Is(err, lb.ErrConflict) {
		t.Errorf("a live socket: %v, want lb.ErrConflict", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	stale(t, path)
	l, err = rest.Listen(path, 0o660)
	if err != nil {
		t.Fatalf("a stale socket: %v", err)
	}
	l.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := rest.Listen(file, 0o660); !errors.Is(err, lb.ErrConflict) {
		t.Errorf("another file: %v, want lb.ErrConflict", err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "mine" {
		t.Errorf("the file is now %q, %v", text, err)
	}
	if _, err := rest.Listen(filepath.Join(dir, strings.Repeat("x", 110)), 0o660); !errors.Is(err, lb.ErrInvalid) {
		t.Errorf("a long path: %v, want lb.ErrInvalid", err)
	}
}

// stale leaves a socket file as a killed daemon does.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if _, err := net.Dial("unix", path); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("dial a stale socket: %v", err)
	}
}

// Of several daemons that start at once on one socket, one has it, and it is its listener that clients reach.
func TestListenAtOnce(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	for round := range 100 {
		if round%2 == 0 {
			stale(t, path)
		}
		begin, got := make(chan struct{}), make(chan net.Listener, 8)
		var all sync.WaitGroup
		for range cap(got) {
			all.Go(func() {
				<-begin
				switch l, err := rest.Listen(path, 0o660); {
				case err == nil:
					got <- l
				case !errors.Is(err, lb.ErrConflict):
					t.Error(err)
				}
			})
		}
		close(begin)
		all.Wait()
		if len(got) != 1 {
			t.Fatalf("round %d: %d of %d have the socket", round, len(got), cap(got))
		}
		(<-got).Close()
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A socket that others can replace is refused.
func TestListenWhereOthersCanWrite(t *testing.T) {
	dir := filepath.Join(shortDir(t), "d")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	var hinted interface{ Hint() string }
	if _, err := rest.Listen(filepath.Join(dir, "s"), 0o660); !errors.Is(err, lb.ErrDenied) || !errors.As(err, &hinted) {
		t.Errorf("%v, want lb.ErrDenied with a hint", err)
	}
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	l, err := rest.Listen(filepath.Join(dir, "s"), 0o660)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
