package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"lbctl/control/client"
	"lbctl/lb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answering serves every request with a status and a body, and returns a client of it.
func answering(t *testing.T, status int, body string) *client.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "lbctl")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		w.Write([]byte(body))
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); s.Serve(l) }()
	c := client.New(filepath.Join(dir, "s"))
	t.Cleanup(func() { c.Close(); s.Close(); <-ended; os.RemoveAll(dir) })
	return c
}

func TestStatusBecomesAnError(t *testing.T) {
	for status, want := range map[int]error{
		400: lb.ErrInvalid, 422: lb.ErrInvalid, 413: lb.ErrInvalid, 404: lb.ErrNotFound, 409: lb.ErrConflict,
		412: lb.ErrConflict, 403: lb.ErrDenied, 507: lb.ErrFull, 501: lb.ErrUnsupported,
	} {
		_, err := answering(t, status, `{"detail":"what","hint":"do"}`).Services(t.Context())
		var e *client.Error
		if !errors.Is(err, want) || !errors.As(err, &e) || e.Error() != "what" || e.Hint() != "do" {
			t.Errorf("status %d: %v, want %v", status, err, want)
		}
	}
	if _, err := answering(t, 500, `{"detail":"what"}`).Services(t.Context()); errors.Unwrap(err) != nil {
		t.Errorf("status 500 wraps %v", errors.Unwrap(err))
	}
}

func TestAnswersThatAreNotOurs(t *testing.T) {
	_, err := answering(t, 404, "<html>").Services(t.Context())
	var e *client.Error
	if !errors.As(err, &e) || e.Hint() == "" {
		t.Errorf("a page: %v", err)
	}
	if _, err := answering(t, 200, "<html>").Services(t.Context()); err == nil {
		t.Error("a page with status 200 is accepted")
	}
	if _, _, err := answering(t, 200, "{}").Config(t.Context()); err == nil {
		t.Error("a configuration without a revision is accepted")
	}
}

func TestUnreachable(t *testing.T) {
	missing := client.New(filepath.Join(t.TempDir(), "s"))
	if _, err := missing.Services(t.Context()); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("no socket: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := missing.Services(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
