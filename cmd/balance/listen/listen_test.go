package listen_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, balance.XDP{}, balance.Commands) }

// get asks over HTTP and returns the status and the answer.
func get(t *testing.T, method, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// logged returns what a pattern finds in the daemon's log.
func logged(t *testing.T, w *clitest.World, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(w.Log.String())
	if found == nil {
		t.Fatalf("the log lacks %s:\n%s", pattern, w.Log)
	}
	return found[1]
}

// TestMetrics: what is on the listener for Prometheus, and what is not.
func TestMetrics(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("lb.yaml", clitest.WebConfig), "--metrics", ":0")
	url := strings.TrimSuffix(logged(t, w, `url=(\S+)`), "/metrics")
	if !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Errorf("%s, want the loopback address", url)
	}
	for path, want := range map[string]struct {
		status int
		part   string
	}{
		"/metrics": {200, "lbctl_intent_revision 1\n"}, "/healthz": {200, `"ok"`}, "/readyz": {200, `"ready"`},
		"/v1/config": {404, ""}, "/openapi.json": {404, ""}, "/debug/pprof/": {404, ""}, "/": {404, ""}, "/metrics/../v1/config": {404, ""},
	} {
		if status, text := get(t, "GET", url+path); status != want.status || !strings.Contains(text, want.part) {
			t.Errorf("%s: %d %.200s, want %d and %s", path, status, text, want.status, want.part)
		}
	}
	if status, _ := get(t, "DELETE", url+"/metrics"); status != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %d", status)
	}
	w.Stop()
	if _, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
		t.Error("it is still listened on")
	}
}

// TestMetricsInUse: a place that was named must be had; of the default one the daemon says that it has not got it, and goes on.
func TestMetricsInUse(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	w.Refused("serve --state-dir DIR/state --metrics "+address, cli.ExitConflict, "--metrics "+address+": conflict: it is in use", "stop what listens there, or use another port")
	if usual, err := net.Listen("tcp", "127.0.0.1:9402"); err == nil { // else another daemon has it
		defer usual.Close()
	}
	w.Serve()
	if !strings.Contains(w.Log.String(), "no listener for Prometheus") {
		t.Errorf("the log says nothing:\n%s", w.Log)
	}
}

// TestWrongFlags: what does not go together, and what is no address.
func TestWrongFlags(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	const help = "see lbctl serve --help"
	for flags, what := range map[string]string{
		"--tokens DIR/t":       "--tokens is of --listen, which is missing",
		"--listen 127.0.0.1:1": "--listen needs --tls-cert and --tls-key: the API is never served in plain text over TCP",
		"--listen 127.0.0.1:1 --tls-cert DIR/c --tls-key DIR/k": "--listen needs --client-ca or --tokens: without them nobody could be known",
		"--metrics 9402":         `--metrics: "9402": want ADDRESS:PORT, like 127.0.0.1:9402 or [::1]:9402`,
		"--metrics host.name:80": `--metrics: "host.name:80": want the address as a number, like 127.0.0.1:9402`,
		"--metrics :65536":       `--metrics: ":65536": want ADDRESS:PORT, like 127.0.0.1:9402 or [::1]:9402`,
	} {
		w.Refused("serve --state-dir DIR/state "+flags, cli.ExitUsage, what, help)
	}
	code, _, stderr := w.Run("serve", "--state-dir", w.Path("state"), "--listen", "127.0.0.1:0", "--tls-cert", w.Path("none"), "--tls-key", w.Path("none"), "--tokens", w.Path("none"))
	if code != cli.ExitNotFound || !strings.Contains(stderr, w.Path("none")) && !strings.Contains(stderr, "DIR/none") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if _, err := os.Stat(w.Path("s")); err == nil {
		t.Error("the socket is left")
	}
}

// certificate writes a certificate for 127.0.0.1 and its key.
func certificate(t *testing.T, w *clitest.World) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return w.Write("cert.pem", block("CERTIFICATE", der)), w.Write("key.pem", block("PRIVATE KEY", bare))
}

// TestOverTCP is a day of tokens: made, used by lbctl with exit codes, taken out and told to the daemon by SIGHUP. None is anywhere
// in the log.
func TestOverTCP(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	cert, key := certificate(t, w)
	var tokens [2]struct{ Token, Line string }
	for n, role := range []string{"operator", "viewer"} {
		if err := json.Unmarshal([]byte(w.OK("token", "new", "--name", role, "--role", role, "--expires", "1d", "-o", "json")), &tokens[n]); err != nil {
			t.Fatal(err)
		}
		w.Write(role, tokens[n].Token+"\n")
	}
	w.Serve("-f", w.Write("lb.yaml", clitest.WebConfig), "--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key,
		"--tokens", w.Write("tokens", tokens[0].Line+"\n"+tokens[1].Line+"\n"), "--metrics", "off")
	server := "https://" + logged(t, w, `over TLS" address=(\S+)`)
	over := func(role string, args ...string) (int, string) {
		code, stdout, stderr := w.Run(append(args, "--server", server, "--ca", cert, "--token-file", w.Path(role))...)
		return code, stdout + stderr
	}
	for _, c := range []struct {
		role string
		args []string
		code int
		part string
	}{
		{"viewer", []string{"get", "services"}, cli.ExitDone, "web"},
		{"viewer", []string{"detach", "eth0"}, cli.ExitDenied, "token viewer is a viewer, and DELETE /v1/interfaces/{name} needs an operator"},
		{"operator", []string{"detach", "eth0"}, cli.ExitDone, ""},
		{"operator", []string{"get", "revisions"}, cli.ExitDone, "token operator"},
		{"operator", []string{"get", "revisions", "2"}, cli.ExitDone, "# interfaces[eth0].mode: auto > none\n"},
	} {
		if code, text := over(c.role, c.args...); code != c.code || !strings.Contains(text, c.part) {
			t.Errorf("%v as the %s: exit %d, want %d and %q:\n%s", c.args, c.role, code, c.code, c.part, text)
		}
	}
	if code, _, stderr := w.Run("get", "services", "--server", server, "--token-file", w.Path("viewer")); code != cli.ExitDenied || !strings.Contains(stderr, "--ca") {
		t.Errorf("a server that nobody vouches for: exit %d, %s", code, stderr)
	}
	w.Refused("get services --server http"+strings.TrimPrefix(server, "https"), cli.ExitUsage, `server "http`+strings.TrimPrefix(server, "https")+`": invalid`,
		"want https://HOST:PORT: over TCP the API is not served in plain text")
	if err := os.Chmod(w.Path("viewer"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, text := over("viewer", "get", "services"); code != cli.ExitDenied || !strings.Contains(text, "chmod 600") {
		t.Errorf("a token that others can read: exit %d, %s", code, text)
	}
	w.Write("tokens", tokens[1].Line+"\n")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		code, text := over("operator", "get", "services")
		if code == cli.ExitDenied && strings.Contains(text, "neither a valid token nor a valid client certificate") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the token is still taken: exit %d, %s", code, text)
		}
	}
	w.Stop()
	for _, secret := range tokens {
		if strings.Contains(w.Log.String(), secret.Token[:20]) || strings.Contains(w.Log.String(), secret.Line) {
			t.Error("a token is in the log")
		}
	}
}

// TestAuditOfReloads: a file that is read again, and one that is refused, are in the audit log.
func TestAuditOfReloads(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("lb.yaml", clitest.WebConfig), "--metrics", "off")
	for _, c := range []struct{ text, want string }{
		{"services: []\n", `operation=SIGHUP path=` + w.Path("lb.yaml") + ` revision=2 changes="[services[dns]: udp [2001:db8::1]:53, replicas: 1 > none services[web]: tcp 192.0.2.1:80, replicas: 2 > none]"`},
		{"services: 7\n", `operation=SIGHUP path=` + w.Path("lb.yaml") + ` refused=`},
	} {
		w.Write("lb.yaml", c.text)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); !strings.Contains(w.Log.String(), c.want); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the log lacks %s:\n%s", c.want, w.Log)
			}
		}
	}
}
