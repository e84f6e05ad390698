package balance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/bpf/need"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/control/intent"
	"lbctl/lb"
)

// A start whose store is gone goes on with what is forwarded, and says so; a file says what it says, and no more.
func TestServeWithoutItsStore(t *testing.T) {
	w := newWorld(t)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	w.Stop()
	forwarded := func() string {
		services, err := w.Memory.Services()
		interfaces, err1 := w.Memory.Interfaces()
		if err := errors.Join(err, err1); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(services, interfaces)
	}
	before := forwarded()
	lose := func() {
		w.Stop()
		if err := os.RemoveAll(w.Path("state")); err != nil {
			t.Fatal(err)
		}
	}
	lose()
	w.Serve()
	if after := forwarded(); after != before {
		t.Errorf("before\n%s after\n%s", before, after)
	}
	for _, want := range []string{"level=WARN", "no revision", "tcp-192-0-2-1-80", "udp-2001-db8--1-53", "eth0", "steps=0"} {
		if !strings.Contains(w.Log.String(), want) {
			t.Errorf("no %s in %s", want, w.Log)
		}
	}
	lose()
	w.Serve("-f", w.Write("less.yaml", strings.Replace(clitest.WebConfig, "interfaces:\n  - name: eth0\n", "", 1)))
	if after := forwarded(); after != before {
		t.Errorf("with a file without interfaces:\nbefore\n%s after\n%s", before, after)
	}
	lose()
	w.Serve("-f", w.Write("none.yaml", "interfaces: []\nservices: []\n"))
	if after := forwarded(); after != "[] []" {
		t.Errorf("with a file that says none: %s", after)
	}
}

// A store that is damaged refuses the start, says what to do, and changes nothing.
func TestServeWithADamagedStore(t *testing.T) {
	w := newWorld(t)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	w.Stop()
	state := w.Path("state/state.db")
	text, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range [][]byte{nil, text[:700], []byte("no state\n"), append(text, 0)} {
		if err := os.WriteFile(state, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := w.Run("serve", "--state-dir", w.Path("state"))
		if code != cli.ExitConflict || !strings.Contains(stderr, "state.db: conflict: damaged") || !strings.Contains(stderr, "move it away") {
			t.Errorf("%d bytes: exit %d: %s", len(damaged), code, stderr)
		}
		if services, err := w.Memory.Services(); err != nil || len(services) != 2 {
			t.Errorf("%d services are forwarded, %v", len(services), err)
		}
	}
	if err := os.Chmod(w.Path("state"), 0o777); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := w.Run("serve", "--state-dir", w.Path("state")); code != cli.ExitDenied || !strings.Contains(stderr, "chmod go-w") {
		t.Errorf("a directory that others can write to: exit %d: %s", code, stderr)
	}
}

// SIGHUP has the file read again; one that is refused changes nothing, and the log says why. Without a file it does nothing.
func TestHangup(t *testing.T) {
	w := newWorld(t)
	file := w.Write("web.yaml", clitest.WebConfig)
	w.Serve("-f", file)
	hangup := func(until string) {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(30 * time.Second); !strings.Contains(w.Log.String(), until); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("no %q in %s", until, w.Log)
			}
		}
	}
	services := func() int {
		all, err := w.Memory.Services()
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	w.Write("web.yaml", strings.Replace(clitest.WebConfig, "192.0.2.1:80", "192.0.2.1:0", 1))
	hangup("web.yaml:5:")
	if services() != 2 {
		t.Errorf("%d services after a file that is refused", services())
	}
	w.Write("web.yaml", clitest.WebConfig[:strings.Index(clitest.WebConfig, "  - name: dns")])
	hangup("msg=reloaded")
	if log := w.Log.String(); services() != 1 || !strings.Contains(log, `"removed service" service=dns`) {
		t.Errorf("%d services after a file with one: %s", services(), log)
	}
	w.Stop()
	w.Serve()
	hangup("no file to read again")
	if services() != 1 || w.Stop() != cli.ExitDone {
		t.Errorf("%d services, %s", services(), w.Log)
	}
}

// refusing is a kernel whose datapath takes no service.
type refusing struct{ XDP }

type refusingPlane struct{ lb.Dataplane }

func (refusingPlane) SetService(context.Context, lb.Service) error { return lb.ErrFull }

func (p refusingPlane) Discard() error { return discard(p.Dataplane) }

func (r refusing) Open(ctx context.Context, p cli.Pins, d intent.Datapath, services []lb.Service, log *slog.Logger) (lb.Dataplane, error) {
	plane, err := r.XDP.Open(ctx, p, d, services, log)
	return refusingPlane{plane}, err
}

// A start that fails after the tables were made leaves no pins.
func TestAFailedStartLeavesNoPins(t *testing.T) {
	need.Root(t)
	w := newWorld(t)
	w.Kernel = refusing{}
	pins := fmt.Sprintf("/sys/fs/bpf/lbctl-test-failed-%d", os.Getpid())
	file := w.Write("web.yaml", strings.Replace(clitest.WebConfig, "interfaces:\n  - name: eth0\n", "", 1))
	start := []string{"serve", "--state-dir", w.Path("state"), "--pin-dir", pins, "--ephemeral", "-f", file}
	code, _, stderr := w.Run(start...)
	if code == cli.ExitDone || !strings.Contains(stderr, "full") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if left, err := os.ReadDir(pins); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left: %v, %v", left, err)
		_, _ = XDP{}.Purge(pins)
	}
	if err := errors.Join(os.Mkdir(pins, 0o700), os.Chmod(pins, 0o777)); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(pins)
	if code, _, stderr := w.Run(start...); code != cli.ExitDenied || !strings.Contains(stderr, "chmod go-w "+pins) {
		t.Errorf("a pin directory that others can write to: exit %d: %s", code, stderr)
	}
}
