package access_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"lbctl/control/access"
	"lbctl/control/client"
	"lbctl/lb"
)

// ca signs certificates.
type ca struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

// signed returns a certificate and its key, PEM, signed by a CA; by itself if that is nil.
func signed(t *testing.T, by *ca, edit func(*x509.Certificate)) (certificate *ca, cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true}
	edit(c)
	parent, parentKey := c, k
	if by != nil {
		parent, parentKey = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &k.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return &ca{parsed, k, cert}, cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: bare})
}

func newCA(t *testing.T, name string) *ca {
	c, _, _ := signed(t, nil, func(c *x509.Certificate) { c.IsCA, c.Subject.CommonName = true, name })
	return c
}

// secured is the API over TLS with certificates of its own, on a real port.
type secured struct {
	*world
	address     string
	server      *ca
	credentials *access.Credentials
}

func (w *world) write(name string, mode os.FileMode, text ...[]byte) string {
	w.t.Helper()
	var all []byte
	for _, part := range text {
		all = append(all, part...)
	}
	// Written beside it and put in its place: nobody reads half a file.
	fresh := w.path(name + ".new")
	if err := os.WriteFile(fresh, all, mode); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(fresh, w.path(name)); err != nil {
		w.t.Fatal(err)
	}
	return w.path(name)
}

// secure serves the API over TCP. The files are server.pem, server.key, clients.pem and tokens, the last two where they are there.
func secure(t *testing.T, p access.Policy, prepare func(*world) access.Files) *secured {
	t.Helper()
	s := &secured{world: newWorld(t), server: newCA(t, "server's CA")}
	_, cert, key := signed(t, s.server, func(c *x509.Certificate) {
		c.IPAddresses, c.ExtKeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	s.write("server-ca.pem", 0o644, s.server.pem)
	files := prepare(s.world)
	files.Certificate, files.Key = s.write("server.pem", 0o644, cert), s.write("server.key", 0o600, key)
	var err error
	if s.credentials, err = access.Load(files, s.logger(), time.Now); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var keeping sync.WaitGroup
	keeping.Go(func() { s.credentials.Run(ctx) })
	t.Cleanup(func() { cancel(); keeping.Wait() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	s.serve(p, s.credentials, l)
	return s
}

// status is that of GET and of PUT by a client, 0 where there is no answer, and the last error.
func (s *secured) status(target client.Target) (read, change int, err error) {
	s.t.Helper()
	target.Server, target.CA = "https://"+s.address, s.path("server-ca.pem")
	c := client.To(target)
	defer c.Close()
	of := func(err error) int {
		var refused *client.Error
		if err == nil {
			return http.StatusOK
		} else if errors.As(err, &refused) {
			return refused.Problem.Status
		}
		return 0
	}
	_, err = c.Services(s.t.Context())
	read = of(err)
	_, err = c.DeleteService(s.t.Context(), "none", false)
	return read, of(err), err
}

// TestCertificates: who comes with which certificate, over real TLS.
func TestCertificates(t *testing.T) {
	clients, others := newCA(t, "clients' CA"), newCA(t, "another CA")
	p := policyOf(t, "dns:ci.example,ou:ops", "cn:grafana")
	s := secure(t, p, func(w *world) access.Files {
		return access.Files{ClientCA: w.write("clients.pem", 0o644, clients.pem)}
	})
	named := func(cn, ou, dns string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.Subject = pkix.Name{CommonName: cn, OrganizationalUnit: []string{ou}}
			c.DNSNames, c.ExtKeyUsage = []string{dns}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}
	}
	for _, c := range []struct {
		name         string
		by           *ca
		edit         func(*x509.Certificate)
		read, change int
	}{
		{"an operator by DNS name", clients, named("x", "y", "ci.example"), 200, 404},
		{"an operator by unit", clients, named("x", "ops", "z.example"), 200, 404},
		{"a viewer by name", clients, named("grafana", "y", "z.example"), 200, 403},
		{"nobody's name", clients, named("ci.example", "grafana", "ops"), 403, 403},
		{"another CA", others, named("grafana", "ops", "ci.example"), 0, 0},
		{"expired", clients, func(c *x509.Certificate) {
			named("grafana", "ops", "ci.example")(c)
			c.NotAfter = time.Now().Add(-time.Minute)
		}, 0, 0},
		{"for servers", clients, func(c *x509.Certificate) {
			named("grafana", "ops", "ci.example")(c)
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}, 0, 0},
		{"none", nil, nil, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var target client.Target
			if c.by != nil {
				_, cert, key := signed(t, c.by, c.edit)
				target.Certificate, target.Key = s.write("client.pem", 0o600, cert), s.write("client.key", 0o600, key)
			}
			read, change, err := s.status(target)
			if read != c.read || change != c.change {
				t.Errorf("read %d, change %d (%v); want %d, %d", read, change, err, c.read, c.change)
			}
			if c.change != 404 && !errors.Is(err, lb.ErrDenied) {
				t.Errorf("%v, want lb.ErrDenied", err)
			}
		})
	}
}

// TestTooManyConnections: on the port for TLS what is refused before the handshake is closed, and a client does not read a text as one.
func TestTooManyConnections(t *testing.T) {
	s := secure(t, policyOf(t, "", ""), func(w *world) access.Files { return access.Files{Tokens: w.write("tokens", 0o600)} })
	for range 64 {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	refused, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Close()
	if text, err := io.ReadAll(refused); err != nil || len(text) > 0 {
		t.Errorf("%q, %v, want the end", text, err)
	}
	if read, _, err := s.status(client.Target{}); read != 0 || !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("%d, %v, want client.ErrUnreachable", read, err)
	}
}

// TestRevokedCertificate: a CA that is taken out of the file ends what its certificates hold open, and they are not taken any more.
func TestRevokedCertificate(t *testing.T) {
	clients, others := newCA(t, "clients' CA"), newCA(t, "another CA")
	s := secure(t, policyOf(t, "cn:boss", ""), func(w *world) access.Files {
		return access.Files{ClientCA: w.write("clients.pem", 0o644, clients.pem, others.pem)}
	})
	_, cert, key := signed(t, clients, func(c *x509.Certificate) {
		c.Subject.CommonName, c.ExtKeyUsage = "boss", []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	target := client.Target{Certificate: s.write("client.pem", 0o600, cert), Key: s.write("client.key", 0o600, key)}
	if read, change, err := s.status(target); read != 200 || change != 404 {
		t.Fatalf("before: %d, %d, %v", read, change, err)
	}
	s.endsWith(target, func() { s.write("clients.pem", 0o644, others.pem) })
}

// endsWith holds a stream and an idle connection open and then takes the right away: both are of no use any more, nor are new ones.
func (s *secured) endsWith(target client.Target, revoke func()) {
	s.t.Helper()
	target.Server, target.CA = "https://"+s.address, s.path("server-ca.pem")
	held := client.To(target)
	defer held.Close()
	if _, err := held.Services(s.t.Context()); err != nil { // its connection is idle from now on
		s.t.Fatal(err)
	}
	watching := client.To(target)
	defer watching.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	samples, err := watching.Monitor(ctx, client.Watched{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer samples.Close()
	revoke()
	if err := s.credentials.Reload(); err != nil {
		s.t.Fatal(err)
	}
	if _, err := samples.Next(); err == nil || ctx.Err() != nil {
		s.t.Errorf("a stream goes on: %v", err)
	}
	if _, err := held.Services(s.t.Context()); !errors.Is(err, lb.ErrDenied) {
		s.t.Errorf("over a connection from before: %v, want lb.ErrDenied", err)
	}
	if read, change, err := s.status(target); read == 200 || change == 404 || !errors.Is(err, lb.ErrDenied) {
		s.t.Errorf("after: %d, %d, %v", read, change, err)
	}
}

// TestTokens: a right token has its role; of all others the answer is the same, and none of them is in the log.
func TestTokens(t *testing.T) {
	secrets := map[string]string{}
	var lines []byte
	for name, of := range map[string]struct {
		role    string
		expires time.Time
	}{
		"ci": {"operator", time.Time{}}, "grafana": {"viewer", time.Now().Add(time.Hour)}, "old": {"operator", time.Now().Add(-time.Hour)},
	} {
		secret, line, err := access.NewToken(name, of.role, of.expires)
		if err != nil {
			t.Fatal(err)
		}
		secrets[name] = secret
		lines = append(lines, (line.String() + "\n")...)
	}
	s := secure(t, policyOf(t, "", ""), func(w *world) access.Files {
		return access.Files{Tokens: w.write("tokens", 0o600, []byte("# who may\n\n"), lines)}
	})
	answers := map[string]bool{}
	for name, c := range map[string]struct {
		token        string
		read, change int
	}{
		"an operator": {secrets["ci"], 200, 404}, "a viewer": {secrets["grafana"], 200, 403}, "expired": {secrets["old"], 401, 401},
		"unknown": {"lbctl_" + strings.Repeat("A", 43), 401, 401}, "cut": {secrets["ci"][:len(secrets["ci"])-1], 401, 401},
		"longer": {secrets["ci"] + "A", 401, 401}, "the hash": {strings.Fields(string(lines))[2], 401, 401}, "none": {"", 401, 401},
	} {
		var target client.Target
		if c.token != "" {
			target.Token = s.write("token", 0o600, []byte(c.token+"\n"))
		}
		read, change, err := s.status(target)
		if read != c.read || change != c.change {
			t.Errorf("%s: read %d, change %d (%v); want %d, %d", name, read, change, err, c.read, c.change)
		}
		if read == 401 {
			answers[err.Error()] = true
		}
	}
	if len(answers) != 1 {
		t.Errorf("answers that differ: %v", answers)
	}
	for name, secret := range secrets {
		if strings.Contains(s.log.String(), secret[:20]) {
			t.Errorf("the token of %s is in the log", name)
		}
	}
	if got := records(t, s.log.String()); !strings.Contains(fmt.Sprint(got), "actor:token ci") || !strings.Contains(fmt.Sprint(got), "from:127.0.0.1:") {
		t.Errorf("the audit log: %v", got)
	}
	left := strings.Split(strings.TrimSpace(string(lines)), "\n")
	s.endsWith(client.Target{Token: s.write("token", 0o600, []byte(secrets["ci"]))}, func() {
		var others []string
		for _, line := range left {
			if !strings.HasPrefix(line, "ci ") {
				others = append(others, line)
			}
		}
		s.write("tokens", 0o600, []byte(strings.Join(others, "\n")))
	})
}

// TestFilesThatAreWrong: what is not right is refused at the start, keeps what was there later, and no error quotes a secret.
func TestFilesThatAreWrong(t *testing.T) {
	secret, line, err := access.NewToken("ci", "viewer", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	s := secure(t, policyOf(t, "", ""), func(w *world) access.Files {
		return access.Files{Tokens: w.write("tokens", 0o600, []byte(line.String()))}
	})
	target := client.Target{Token: s.write("token", 0o600, []byte(secret))}
	for text, want := range map[string]string{
		secret: "want NAME ROLE sha256:HASH", "ci viewer " + secret: "the hash", "ci boss sha256:00": "the role", "c/i viewer sha256:00": "the name",
		line.String() + "\n" + line.String(): "tokens:2: invalid: the name is there already", line.String() + " tomorrow": "the expiry", strings.Repeat("x", 1<<20+1): "larger than",
		strings.Repeat("x", 100_000): "a line is too long",
	} {
		s.write("tokens", 0o600, []byte(text))
		if err := s.credentials.Reload(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret[:20]) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	s.write("tokens", 0o640, []byte(line.String()))
	var hinted interface{ Hint() string }
	if err := s.credentials.Reload(); !errors.Is(err, lb.ErrDenied) || !errors.As(err, &hinted) || hinted.Hint() != "chmod 600 "+s.path("tokens") {
		t.Errorf("a file that a group reads: %v", err)
	}
	s.write("tokens", 0o600, []byte(line.String()))
	s.write("server.key", 0o600, []byte("no key"))
	if err := s.credentials.Reload(); !errors.Is(err, lb.ErrInvalid) {
		t.Errorf("a wrong key: %v", err)
	}
	if read, _, err := s.status(target); read != 200 {
		t.Errorf("after all that: %d, %v", read, err)
	}
	if strings.Contains(s.log.String(), secret[:20]) {
		t.Error("the token is in the log")
	}
}

// TestNotTLS: plain HTTP and older TLS get nothing, and who says nothing is hung up.
func TestNotTLS(t *testing.T) {
	secret, line, err := access.NewToken("ci", "operator", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	s := secure(t, policyOf(t, "", ""), func(w *world) access.Files {
		return access.Files{Tokens: w.write("tokens", 0o600, []byte(line.String()))}
	})
	dial := func() net.Conn {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	silent, slow := dial(), dial()
	if _, err := slow.Write([]byte{0x16, 0x03, 0x01, 0x02, 0x00, 0x01}); err != nil { // a hello that begins
		t.Fatal(err)
	}
	var status int
	var text string
	if err := ask(dial(), "GET", "/v1/config", "", &status, &text, "Authorization", "Bearer "+secret); status != http.StatusBadRequest {
		t.Errorf("plain HTTP: %d %q %v", status, text, err)
	}
	older := tls.Client(dial(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if err := older.HandshakeContext(t.Context()); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2: %v", err)
	}
	for name, c := range map[string]net.Conn{"silent": silent, "slow": slow} {
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil { // until it is hung up
			t.Errorf("%s: %v", name, err)
		}
	}
	if strings.Contains(s.log.String(), secret[:20]) {
		t.Error("the token is in the log")
	}
}

// TestAddressesAreLimited: connections that never say anything do not keep other addresses out.
func TestAddressesAreLimited(t *testing.T) {
	secret, line, err := access.NewToken("ci", "operator", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	s := secure(t, policyOf(t, "", ""), func(w *world) access.Files {
		return access.Files{Tokens: w.write("tokens", 0o600, []byte(line.String()))}
	})
	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for range 600 { // more than there may be in all
		c, err := other.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if read, _, err := s.status(client.Target{Token: s.write("token", 0o600, []byte(secret))}); read != 200 {
		t.Errorf("%d, %v", read, err)
	}
}
