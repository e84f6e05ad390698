package access_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"lbctl/bpf/need"
	"lbctl/control/access"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/rest"
	"lbctl/control/store/storetest"
	"lbctl/lb/oracle"
)

// world is the API on a real socket, over a datapath in memory.
type world struct {
	t      *testing.T
	dir    string
	engine *engine.Engine
	// log is what was logged.
	log log
}

// log is a text that is written and read at once.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (w *world) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(&w.log, nil)) }

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "lbctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	dp := oracle.New(oracle.Config{Interfaces: map[string]int{"eth0": 2}})
	e, err := engine.Start(t.Context(), engine.Options{Dataplane: dp, Store: &storetest.Memory{}}, intent.Default())
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, dir: dir, engine: e}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// serve serves the API until the test ends. The listeners are closed by then.
func (w *world) serve(p access.Policy, c *access.Credentials, listeners ...net.Listener) *rest.Server {
	w.t.Helper()
	s := rest.New(rest.Options{Engine: w.engine, Version: "test", Policy: &p, Credentials: c, Logger: w.logger()})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listeners...) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	return s
}

// onSocket serves the API on the unix socket.
func (w *world) onSocket(p access.Policy, mode os.FileMode) {
	w.t.Helper()
	l, err := rest.Listen(w.path("s"), mode)
	if err != nil {
		w.t.Fatal(err)
	}
	w.serve(p, nil, l)
}

// somebody is a user with a group and supplementary groups.
type somebody struct {
	uid, gid int
	groups   []int
}

// request makes a request over the socket as somebody. The status is 0 where the socket cannot be reached.
func (w *world) request(as somebody, method, path, body string) (status int, text string) {
	w.t.Helper()
	need.Root(w.t)
	failed := make(chan error, 1)
	go func() { failed <- w.requestAs(as, method, path, body, &status, &text) }()
	if err := <-failed; err != nil && status != 0 {
		w.t.Fatalf("%s %s as %+v: %v", method, path, as, err)
	} else if err != nil {
		text = err.Error()
	}
	return status, text
}

// requestAs becomes somebody in a thread of its own, which ends with its user: no credential of the process changes.
func (w *world) requestAs(as somebody, method, path, body string, status *int, text *string) error {
	runtime.LockOSThread()
	var groups []uint32
	for _, g := range as.groups {
		groups = append(groups, uint32(g))
	}
	if err := become(groups, as.gid, as.uid); err != nil {
		return err
	}
	c, err := net.Dial("unix", w.path("s"))
	if err != nil {
		return err
	}
	defer c.Close()
	return ask(c, method, path, body, status, text)
}

// ask sends a request and reads the answer.
func ask(c net.Conn, method, path, body string, status *int, text *string, headers ...string) error {
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	r, err := http.NewRequest(method, "http://lbctl"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	for n := 0; n+1 < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	if err := r.Write(c); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	*status = answer.StatusCode
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		return c.Close() // it does not end by itself
	}
	all, err := io.ReadAll(answer.Body)
	*text = string(all)
	return err
}

// become changes the user of this thread alone.
func become(groups []uint32, gid, uid int) error {
	groups = append(groups, 0) // so that there is a first one
	_, _, e := syscall.RawSyscall(syscall.SYS_SETGROUPS, uintptr(len(groups)-1), uintptr(unsafe.Pointer(&groups[0])), 0)
	if e == 0 {
		_, _, e = syscall.RawSyscall(syscall.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid))
	}
	if e == 0 {
		_, _, e = syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid))
	}
	if e != 0 {
		return e
	}
	return nil
}
