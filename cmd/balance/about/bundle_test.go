package about_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
)

// untar returns the files of an archive by name, without their folder.
func untar(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Mode != 0o600 || !strings.HasPrefix(path.Dir(h.Name), "lbctl-support-") {
			t.Errorf("%s has mode %o", h.Name, h.Mode)
		}
		files[path.Base(h.Name)] = string(text)
	}
}

// bundleOf runs the command, which must succeed, and returns the files.
func bundleOf(t *testing.T, w *clitest.World, args ...string) map[string]string {
	t.Helper()
	code, stdout, stderr := w.Run(append([]string{"support-bundle", "-o", "-", "--pin-dir", w.Path("pins")}, args...)...)
	if code != cli.ExitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	return untar(t, []byte(stdout))
}

// keyPair writes a certificate for 127.0.0.1 and its key, and returns a line of the key.
func keyPair(t *testing.T, w *clitest.World) (cert, key, secret string) {
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
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: bare}))
	return w.Write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))), w.Write("key.pem", private), strings.Split(private, "\n")[1]
}

// secretive has what may let somebody in wherever a check can have it.
const secretive = `interfaces: [{name: eth0}]
services:
  - name: web
    vip: 192.0.2.1:80
    health: {type: http, path: "/healthz?token=SECRET-query&x=1", body: SECRET-body, interval: 100ms, timeout: 50ms, fall: 1}
    replicas: [{address: "10.0.0.1:9"}]
  - name: dns
    vip: 192.0.2.1:53
    protocol: udp
    health: {type: udp, send: 'SECRET-"send"', expect: SECRET-expect, interval: 100ms, timeout: 50ms, fall: 1}
    replicas: [{address: "10.0.0.2:9"}]
  - name: script
    vip: 192.0.2.1:81
    health: {type: exec, command: [/bin/false, --password=SECRET-argument], interval: 100ms, timeout: 90ms, fall: 1}
    replicas: [{address: "10.0.0.3:9"}]
`

// speaking is a check that says its secret, so that it is the reason why its replica is unhealthy.
const speaking = `  - name: speaking
    vip: 192.0.2.1:82
    health: {type: exec, command: [/bin/sh, -c, 'echo no luck with $0; exit 1', hunter2], interval: 100ms, timeout: 90ms, fall: 1}
    replicas: [{address: "10.0.0.4:9"}]
`

// unhealthy waits until so many replicas are.
func unhealthy(t *testing.T, w *clitest.World, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		out := w.OK("get", "replicas")
		if strings.Count(out, " unhealthy ") == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("want %d unhealthy:\n%s", n, out)
		}
	}
}

// TestNoSecretIsTold: of tokens, keys and what checks have nothing is in the bundle, the log or on the page of metrics.
func TestNoSecretIsTold(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	cert, key, private := keyPair(t, w)
	var token struct{ Token, Line string }
	if err := json.Unmarshal([]byte(w.OK("token", "new", "--name", "ci", "--role", "operator", "--expires", "1d", "-o", "json")), &token); err != nil {
		t.Fatal(err)
	}
	w.Write("token", token.Token+"\n")
	w.Serve("-f", w.Write("lb.yaml", secretive), "--metrics", "off", "--log-level", "debug",
		"--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key, "--tokens", w.Write("tokens", token.Line+"\n"))
	unhealthy(t, w, 3)
	w.OK("apply", "-f", w.Write("other.yaml", strings.ReplaceAll(secretive, "SECRET-", "SECRET-again-")))
	unhealthy(t, w, 3)
	server := "https://" + regexp.MustCompile(`over TLS" address=(\S+)`).FindStringSubmatch(w.Log.String())[1]
	files := bundleOf(t, w, "--server", server, "--ca", cert, "--token-file", w.Path("token"))
	for _, want := range []string{"version.json", "config.yaml", "revisions.json", "status.json", "services.json", "replicas.json", "interfaces.json", "counters.json",
		"flows.json", "overrides.json", "events.jsonl", "metrics.txt", "system.txt", "errors.txt", "manifest.json"} {
		if files[want] == "" {
			t.Errorf("the bundle lacks %s; errors:\n%s", want, files["errors.txt"])
		}
	}
	if !strings.Contains(files["config.yaml"], "[redacted]") || !strings.Contains(files["config.yaml"], "/bin/false") {
		t.Errorf("config.yaml:\n%s", files["config.yaml"])
	}
	files["the log"], files["the page of metrics"] = w.Log.String(), files["metrics.txt"]
	for name, text := range files {
		for _, secret := range []string{"SECRET-", token.Token[:20], token.Line, private} {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s has a secret: %.200q", name, text[max(0, at-100):])
			}
		}
	}
	w.OK("apply", "-f", w.Write("speaking.yaml", secretive+speaking))
	unhealthy(t, w, 4)
	for name, text := range bundleOf(t, w) {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s has what a check says:\n%s", name, text)
		}
	}
}

// TestBundleFile: it is for its owner alone, and replaces nothing; without a daemon it has what can be had, and says what not.
func TestBundleFile(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	code, stdout, stderr := w.Run("support-bundle", "-o", w.Path("b.tar.gz"), "--pin-dir", w.Path("pins"))
	if code != cli.ExitDone || !strings.HasPrefix(stdout, "DIR/b.tar.gz: 4 files\n") || !strings.Contains(stderr, "parts could not be had: see errors.txt in it") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
	info, err := os.Stat(w.Path("b.tar.gz"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	archive, err := os.ReadFile(w.Path("b.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	files := untar(t, archive)
	if !strings.Contains(files["errors.txt"], "config.yaml: daemon unreachable on") || !strings.Contains(files["errors.txt"], "bpf.json: read pin directory") ||
		!strings.Contains(files["system.txt"], "# /proc/version\nLinux") || !strings.Contains(files["version.json"], `"lb_decap"`) {
		t.Errorf("without a daemon: %v", files)
	}
	var m struct {
		Time  time.Time
		Files []struct {
			Name  string
			Bytes int
		}
	}
	if err := json.Unmarshal([]byte(files["manifest.json"]), &m); err != nil || len(m.Files) != len(files)-1 || m.Time.IsZero() {
		t.Errorf("manifest %+v, %v", m, err)
	}
	for _, f := range m.Files {
		if len(files[f.Name]) != f.Bytes {
			t.Errorf("%s has %d bytes, the manifest says %d", f.Name, len(files[f.Name]), f.Bytes)
		}
	}
	w.Refused("support-bundle -o DIR/b.tar.gz --pin-dir DIR/pins", cli.ExitConflict, "write DIR/b.tar.gz: conflict: it is there already", "name another file with -o")
}
