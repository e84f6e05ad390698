package rest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lbctl/control/client"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/rest"
	"lbctl/control/store/storetest"
	"lbctl/lb"
)

// What the daemon is to blame for is in its log, with the cause and what to do; a full disk is 507.
func TestFailuresAreLogged(t *testing.T) {
	var kept storetest.Memory
	var log bytes.Buffer
	e, err := engine.Start(t.Context(), engine.Options{Dataplane: newMemory(), Store: &kept}, intent.Default())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(shortDir(t), "s")
	l, err := rest.Listen(path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		_ = rest.New(rest.Options{Engine: e, Logger: slog.New(slog.NewTextHandler(&log, nil))}).Serve(ctx, l)
	})
	c := client.New(path)
	for status, cause := range map[int]error{
		http.StatusInsufficientStorage: fmt.Errorf("write state.db: %w: no space left on device", lb.ErrFull),
		http.StatusInternalServerError: errors.New("write state.db: input/output error"),
	} {
		kept.Fail(cause)
		_, err := c.Apply(t.Context(), doc(t, web))
		wantStatus(t, err, status)
	}
	c.Close()
	stop()
	serving.Wait()
	for _, want := range []string{"status=507", "no space left on device", "status=500", "input/output error", `request="PUT /v1/config"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in\n%s", want, &log)
		}
	}
}
