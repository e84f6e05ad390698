package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/control/intent"
	"lbctl/lb"
)

// direct is the way to a replica without a balancer.
func direct(_ lb.Service, replica netip.AddrPort) (netip.AddrPort, func(string, string, syscall.RawConn) error, error) {
	return replica, nil, nil
}

// check makes one check.
func check(t *testing.T, c intent.Check, at netip.AddrPort) error {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), c.Timeout)
	defer cancel()
	return probe(ctx, direct, target{Key: Key{Replica: at}, service: &intent.Service{Name: "web", Health: c}})
}

func want(t *testing.T, what string, err error, reason string) {
	t.Helper()
	if reason == "" && err != nil || reason != "" && (err == nil || !strings.Contains(err.Error(), reason)) {
		t.Errorf("%s: %v, want %q", what, err, reason)
	}
	if err != nil && (len(err.Error()) > maxReason+80 || strings.ContainsAny(err.Error(), "\n\x1b")) {
		t.Errorf("%s: %q is no short line", what, err)
	}
}

// serve has a handler for each connection, and returns where.
func serve(t *testing.T, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			handle(c)
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// closed is a port at which nothing listens.
func closed(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// A connection that is accepted is enough, and its end leaves no port waiting.
func TestTCP(t *testing.T) {
	heard := make(chan error, 1)
	at := serve(t, func(c net.Conn) {
		_, err := c.Read(make([]byte, 1))
		heard <- err
	})
	want(t, "accepted", check(t, intent.Check{Type: intent.CheckTCP}, at), "")
	if err := <-heard; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server read %v, want a reset", err)
	}
	want(t, "refused", check(t, intent.Check{Type: intent.CheckTCP}, closed(t)), "connect: connection refused")
	other := intent.Check{Type: intent.CheckTCP, Port: closed(t).Port()}
	want(t, "another port", check(t, other, at), "connect: connection refused")
}

// answering serves an answer as it is written here, once it has read the request; it returns what that was.
func answering(t *testing.T, write func(io.Writer)) (at netip.AddrPort, request func() string) {
	heard := make(chan string, 1)
	return serve(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		heard <- fmt.Sprintf("%s %s %s close=%v", r.Method, r.RequestURI, r.Host, r.Close)
		write(c)
	}), func() string { return <-heard }
}

func TestHTTP(t *testing.T) {
	c := intent.Check{Type: intent.CheckHTTP, Path: "/healthz?a=b", Status: "200", Host: "www.example.com", Body: "ok"}
	for answer, reason := range map[string]string{
		"HTTP/1.1 200 OK\r\n\r\nall is ok":                                          "",
		"HTTP/1.0 200 OK\r\n\r\nok":                                                 "",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nok":                    "",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n": "",
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok":                            "",
		"HTTP/1.1 200 OK\r\n\r\nnot well":                                           "the body does not contain",
		"HTTP/1.1 503 No\r\n\r\nok":                                                 "status 503, want 200",
		"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\nok":                               "status 302, want 200",
		"SSH-2.0-x\r\n\r\n":                                                         "malformed",
		"":                                                                          "the connection ended before the answer",
		"HTTP/1.1 200 \x1b[2J\r\n\x1b: \x1b\r\n\r\nok":                              "malformed",
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot":                           "unexpected EOF",
	} {
		at, request := answering(t, func(w io.Writer) { io.WriteString(w, answer) })
		want(t, fmt.Sprintf("%q", answer), check(t, c, at), reason)
		if got := request(); got != "GET /healthz?a=b www.example.com close=true" {
			t.Errorf("asked %s", got)
		}
	}
	c.Status, c.Body = "200-299,304", ""
	for status, reason := range map[int]string{200: "", 299: "", 304: "", 300: "status 300, want 200-299,304", 305: "status 305, want 200-299,304"} {
		at, _ := answering(t, func(w io.Writer) { fmt.Fprintf(w, "HTTP/1.1 %d X\r\n\r\n", status) })
		want(t, fmt.Sprintf("status %d", status), check(t, c, at), reason)
	}
	t.Setenv("http_proxy", "http://"+closed(t).String())
	at, request := answering(t, func(w io.Writer) { io.WriteString(w, "HTTP/1.1 204 No Content\r\n\r\n") })
	want(t, "without a body and a host", check(t, intent.Check{Type: intent.CheckHTTP, Path: "/", Status: "204"}, at), "")
	if got := request(); got != "GET / "+at.String()+" close=true" {
		t.Errorf("asked %s", got)
	}
}

// An answer without an end takes neither memory nor more time than there is.
func TestHTTPWithoutEnd(t *testing.T) {
	c := intent.Check{Type: intent.CheckHTTP, Path: "/", Status: "200", Body: "ok", Timeout: 200 * time.Millisecond}
	forever := func(first, more string) func(io.Writer) {
		return func(w io.Writer) {
			_, err := io.WriteString(w, first)
			for err == nil {
				_, err = io.WriteString(w, more)
			}
		}
	}
	trickle := func(first string) func(io.Writer) {
		return func(w io.Writer) {
			_, err := io.WriteString(w, first)
			for err == nil {
				time.Sleep(10 * time.Millisecond)
				_, err = io.WriteString(w, "x")
			}
		}
	}
	for name, write := range map[string]struct {
		answer func(io.Writer)
		reason string
	}{
		"header":            {forever("HTTP/1.1 200 OK\r\n", "X: "+strings.Repeat("x", 1000)+"\r\n"), "longer than 16 KiB"},
		"header line":       {forever("HTTP/1.1 200 OK\r\nX: ", "xxxxxxxxxxxxxxxx"), "longer than 16 KiB"},
		"status line":       {forever("HTTP/1.1 200 ", "xxxxxxxxxxxxxxxx"), "longer than 16 KiB"},
		"informational":     {forever("", "HTTP/1.1 103 Early Hints\r\n\r\n"), "no end of informational"},
		"body":              {forever("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 1000)), "does not contain"},
		"chunks":            {forever("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"), "answer is longer than"},
		"chunk extension":   {forever("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "xxxxxxxxxxxxxxxx"), "header line too long"},
		"header that drips": {trickle("HTTP/1.1 200 OK\r\nX: "), "wait for an answer: timed out after 200ms"},
		"body that drips":   {trickle("HTTP/1.1 200 OK\r\n\r\n"), "read the body: timed out after 200ms"},
		"nothing":           {func(w io.Writer) { w.(net.Conn).Read(make([]byte, 1)) }, "wait for an answer: timed out after 200ms"},
	} {
		at, _ := answering(t, write.answer)
		if c.Timeout = 200 * time.Millisecond; !strings.Contains(write.reason, "timed out") {
			c.Timeout = 10 * time.Second
		}
		err := check(t, c, at)
		want(t, name, err, write.reason)
	}
}

// The certificate has to be for the name, and from an authority of the system, unless every one is taken.
func TestHTTPS(t *testing.T) {
	asked := make(chan string, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked <- r.TLS.ServerName }))
	s.Config.ErrorLog = nil
	s.Config.ErrorLog = discardLog()
	s.StartTLS()
	defer s.Close()
	at := netip.MustParseAddrPort(s.Listener.Addr().String())
	c := intent.Check{Type: intent.CheckHTTPS, Path: "/", Status: "200", ServerName: "www.example.com"}
	want(t, "an unknown authority", check(t, c, at), "TLS: ")
	c.AnyCertificate = true
	want(t, "any certificate", check(t, c, at), "")
	if name := <-asked; name != "www.example.com" {
		t.Errorf("asked for %q", name)
	}
	want(t, "no TLS", check(t, c, serve(t, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })), "TLS: ")
}

func TestUDP(t *testing.T) {
	s, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ended := make(chan struct{})
	defer func() { s.Close(); <-ended }()
	go func() { // answers what it is sent, but for the silent
		defer close(ended)
		for b := make([]byte, 100); ; {
			n, from, err := s.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			if string(b[:n]) != "silent" {
				s.WriteToUDPAddrPort(append([]byte("re: "), b[:n]...), from)
			}
		}
	}()
	at := s.LocalAddr().(*net.UDPAddr).AddrPort()
	udp := func(send, expect string) intent.Check {
		return intent.Check{Type: intent.CheckUDP, Send: intent.Payload(send), Expect: intent.Payload(expect), Timeout: 200 * time.Millisecond}
	}
	want(t, "any answer", check(t, udp("ping", ""), at), "")
	want(t, "the expected one", check(t, udp("hex:70696e67", "re: ping"), at), "")
	want(t, "in hexadecimal", check(t, udp("hex:00ff", "hex:3a2000ff"), at), "")
	want(t, "another one", check(t, udp("ping", "pong"), at), "an answer of 8 bytes without what is expected")
	want(t, "none", check(t, udp("silent", ""), at), "wait for an answer: timed out after 200ms")
	want(t, "nobody", check(t, udp("ping", ""), closed(t)), "wait for an answer: connection refused")
}

// runAsCommand makes the test program the command of a check.
func runAsCommand() bool {
	if len(os.Args) < 2 || os.Args[1] != "command" {
		return false
	}
	switch os.Args[2] {
	case "sleep": // with a child that ignores that its parent ends
		child, err := os.StartProcess("/proc/self/exe", []string{"x", "command", "hold", os.Args[3]}, &os.ProcAttr{Files: []*os.File{nil, os.Stdout, os.Stderr}})
		if err == nil {
			child.Wait()
		}
	case "listen":
		listenAll()
	case "hold":
		f, err := os.OpenFile(os.Args[3], os.O_WRONLY, 0)
		if err == nil {
			fmt.Fprintln(f, os.Getpid())
			select {}
		}
	}
	return true
}

func discardCommand(args ...string) intent.Check {
	return intent.Check{Type: intent.CheckExec, Command: intent.NewCommand(args)}
}

// A command's exit code decides. It has no shell, little environment and no capabilities.
func TestExec(t *testing.T) {
	t.Setenv("LBCTL_SECRET", "x")
	at := netip.MustParseAddrPort("10.0.0.1:80")
	sh := func(script string) error {
		return check(t, discardCommand("/bin/sh", "-c", script, "$(touch x)", "a b"), at)
	}
	want(t, "good", sh("exit 0"), "")
	want(t, "bad", sh("echo; echo not well >&2; echo more; exit 3"), "exit status 3: not well")
	want(t, "no program", check(t, discardCommand("/nonexistent"), at), "no such file or directory")
	want(t, "a signal", sh("kill -9 $$"), "signal: killed")
	want(t, "environment", sh(`[ "$LBCTL_REPLICA $LBCTL_SERVICE $LBCTL_SECRET" = "10.0.0.1:80 web " ] && [ "$0" = '$(touch x)' ] && [ "$1" = "a b" ]`), "")
	want(t, "capabilities", sh(`grep -qE '^CapEff:\s*0+$' /proc/self/status && grep -qE '^NoNewPrivs:\s*1$' /proc/self/status`), "")
	if os.Geteuid() == 0 {
		want(t, "user", sh("[ $(id -u) = 65534 ] && [ $(id -G) = 65534 ]"), "")
	}
	want(t, "output without an end", sh("head -c 1000000 /dev/zero | tr '\\0' x; exit 1"), "exit status 1: xxx")
	want(t, "output held open", sh("sleep 100 & exit 0"), "")
}

// At the timeout a command is killed with its children.
func TestExecTimeout(t *testing.T) {
	dir := t.TempDir()
	pids := filepath.Join(dir, "pids")
	for d := dir; d != "/tmp" && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(pids, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(pids, 0o666); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "command")
	if err := copyFile(binary, "/proc/self/exe"); err != nil {
		t.Fatal(err)
	}
	c := discardCommand(binary, "command", "sleep", pids)
	c.Timeout = 2 * time.Second
	want(t, "without an end", check(t, c, netip.MustParseAddrPort("10.0.0.1:80")), "killed after 2s")
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatalf("no child was started: %q", text)
	}
	for range 1000 { // it is killed, and may not be gone yet
		if syscall.Kill(child, 0) != nil || isZombie(child) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d, a child of the command, is still there", child)
}
