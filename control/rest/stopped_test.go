package rest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/control/client"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/rest"
	"lbctl/control/store/storetest"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// stopped begins a stream over a connection of its own and reads the header of the answer, and then no more.
func (w *world) stopped(request string) (net.Conn, *bufio.Reader) {
	w.t.Helper()
	c, err := net.Dial("unix", w.socket)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: x\r\n\r\n", request)
	r := bufio.NewReaderSize(c, 16)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			w.t.Fatal(err)
		}
		if strings.TrimSpace(line) == "" {
			return c, r
		}
	}
}

// TestMonitorEndsForWhoDoesNotRead: with many packets, with few, with none, and for who hung up one way. Each way another thing
// shows it: a write that takes too long, what is queued, the beats of the stream, the end of the connection.
func TestMonitorEndsForWhoDoesNotRead(t *testing.T) {
	for name, send := range map[string]func(*world, net.Conn){
		"many": func(w *world, _ net.Conn) {
			for range 20_000 {
				w.dp.Process(2, frameToWeb(packet.ACK))
			}
		},
		"few":  func(w *world, _ net.Conn) { w.dp.Process(2, frameToWeb(packet.ACK)) },
		"none": func(*world, net.Conn) {},
		"half": func(_ *world, c net.Conn) { c.(*net.UnixConn).CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			w := routedWorldOf(t, 100*time.Millisecond)
			c, _ := w.stopped("GET /v1/monitor")
			w.watchedBy(1)
			send(w, c)
			w.watchedBy(0)
		})
	}
}

// TestMonitorStaysForWhoReads: also when no packet comes for a long time.
func TestMonitorStaysForWhoReads(t *testing.T) {
	w := routedWorldOf(t, 100*time.Millisecond)
	_, r := w.stopped("GET /v1/monitor")
	beats := 0
	for beats < 10 {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %d beats: %v", beats, err)
		}
		if strings.TrimSpace(line) == ":" {
			beats++
		}
	}
	s := w.monitor(t.Context(), client.Watched{})
	w.dp.Process(2, frameToWeb(packet.SYN))
	w.next(s)
}

// TestAnswerEndsForWhoDoesNotRead: what was to be sent does not stay in memory for ever.
func TestAnswerEndsForWhoDoesNotRead(t *testing.T) {
	w := routedWorldOf(t, 100*time.Millisecond)
	var text strings.Builder
	text.WriteString("services:\n")
	for n := range 1000 {
		fmt.Fprintf(&text, "  - {name: s%d, vip: \"192.0.2.7:%d\", replicas: [{address: \"10.0.0.1:%d\"}, {address: \"10.0.0.2:%d\"}]}\n", n, n+1, n+1000, n+1000)
	}
	w.apply(text.String())
	c, err := net.Dial("unix", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 100 { // more than the socket's buffers hold
		if _, err := fmt.Fprint(c, "GET /v1/config HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			break
		}
	}
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var ended int
	raw.Control(func(fd uintptr) { ended, err = unix.Poll([]unix.PollFd{{Fd: int32(fd)}}, 30_000) }) // until it is hung up
	if err != nil || ended != 1 {
		t.Errorf("the connection stays: %v", err)
	}
}

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
