package rest_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"lbctl/bpf/need"
	"lbctl/control/api"
)

// A revision has who asked for it, by the credentials of the socket, and what for; it can be read, and be the intent again.
func TestRevisions(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	w.apply(webAndDNS)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	history, err := w.client.Revisions(t.Context(), 2)
	if err != nil || len(history.Revisions) != 2 {
		t.Fatalf("%+v, %v", history, err)
	}
	if last := history.Revisions[0]; last.Number != 3 || last.Actor != me.Username || last.Reason != "put config" || last.Time.IsZero() {
		t.Errorf("the last revision is %+v, want number 3 of %s", last, me.Username)
	}
	then, err := w.client.Revision(t.Context(), 2)
	if err != nil || len(then.Config.Services) != 1 || then.Config.Services[0].Name != "web" {
		t.Errorf("revision 2: %+v, %v", then, err)
	}
	if _, err := w.client.Rollback(t.Context(), 2, true); err != nil || len(w.forwarded()) != 2 {
		t.Errorf("a dry run: %v, %v", w.forwarded(), err)
	}
	if done, err := w.client.Rollback(t.Context(), 2, false); err != nil || done.Revision != 4 || len(w.forwarded()) != 1 {
		t.Errorf("%+v, %v, %v", done, w.forwarded(), err)
	}
	_, err = w.client.Rollback(t.Context(), 5, false)
	if e := wantStatus(t, err, http.StatusNotFound); !strings.Contains(e.Hint(), "get revisions") {
		t.Errorf("hint %q", e.Hint())
	}
	response, text := w.request("POST", "/v1/revisions/2/rollback", "", "If-Match", `"3"`)
	if response.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("at another revision: %d %s", response.StatusCode, text)
	}
}

// A user without a name on this host is recorded by number.
func TestActorWithoutName(t *testing.T) {
	need.Root(t)
	const nobodys = 987654321
	w := newWorld(t)
	if err := errors.Join(os.Chmod(w.dir(), 0o711), os.Chmod(w.socket, 0o666)); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its user
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, nobodys, nobodys, nobodys); e != 0 {
			failed <- e
			return
		}
		c, err := net.Dial("unix", w.socket)
		if err != nil {
			failed <- err
			return
		}
		defer c.Close()
		request, err := http.NewRequestWithContext(t.Context(), "PUT", "http://lbctl/v1/services/web", strings.NewReader(`{"name": "web", "vip": "192.0.2.1:80", "replicas": []}`))
		if err != nil {
			failed <- err
			return
		}
		request.Header.Set("Content-Type", "application/json")
		request.Close = true
		err = request.Write(c)
		if err == nil {
			_, err = io.ReadAll(c)
		}
		failed <- err
	}()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	history, err := w.client.Revisions(t.Context(), 1)
	if want := (api.RevisionEntry{Actor: "uid 987654321", Reason: "put service web"}); err != nil || history.Revisions[0].Actor != want.Actor || history.Revisions[0].Reason != want.Reason {
		t.Errorf("%+v, %v, want %+v", history, err, want)
	}
}
