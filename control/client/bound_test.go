package client

import (
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// endless answers every request with a beginning that goes on for ever.
func endless(t *testing.T, status int, begin, on string) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, err := io.WriteString(w, begin)
		for err == nil {
			_, err = io.WriteString(w, on)
		}
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	c := New(socket)
	c.most = 1 << 20
	t.Cleanup(func() { c.Close(); s.Close(); <-ended })
	return c
}

// An answer that does not end, of whatever listens there, is not read for ever.
func TestEndlessAnswers(t *testing.T) {
	on := strings.Repeat("x", 1<<16)
	ask := func(c *Client) error { _, err := c.Services(t.Context()); return err }
	watch := func(c *Client) error {
		s, err := c.Monitor(t.Context(), Watched{})
		if err != nil {
			return err
		}
		defer s.Close()
		_, err = s.Next()
		return err
	}
	for name, c := range map[string]struct {
		status int
		begin  string
		ask    func(*Client) error
		what   string
	}{
		"answer":  {200, `{"services": [{"name": "`, ask, "read answer: it is too large"},
		"problem": {404, `{"detail": "`, ask, "404 Not Found"},
		"sample":  {200, "data: ", watch, "read samples: it is too large"},
	} {
		err := c.ask(endless(t, c.status, c.begin, on))
		var hint interface{ Hint() string }
		if err == nil || err.Error() != c.what || !errors.As(err, &hint) || hint.Hint() != "is it an lbctl daemon that listens there?" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
