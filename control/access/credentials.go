package access

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Credentials are what clients of a TLS listener are known by. They are read again when their files change. They are safe for
// concurrent use. The zero value is not usable: see Load.
type Credentials struct {
	files Files
	log   *slog.Logger
	now   func() time.Time
	// material is what was last read and right, seen what the files were when they were last read.
	material atomic.Pointer[material]
	reading  sync.Mutex
	seen     [4]stamp

	mu sync.Mutex
	// held are the requests under way, each with how it is asked whether it may go on, and how it is ended.
	held map[*hold]struct{}
}

type hold struct {
	allowed func() bool
	end     func()
}

// Load reads the files. Errors: those of a file that is missing, wrong, or open to others.
func Load(files Files, log *slog.Logger, now func() time.Time) (*Credentials, error) {
	c := &Credentials{files: files, log: log, now: now, held: map[*hold]struct{}{}}
	c.seen = files.stamps()
	m, err := files.read()
	if err != nil {
		return nil, err
	}
	c.use(m)
	return c, nil
}

// stamp tells whether a file has changed since it was read.
type stamp struct {
	inode       uint64
	size        int64
	modified    int64
	changed     int64
	unreachable bool
}

// stamps tells the state of all files.
func (f Files) stamps() (all [4]stamp) {
	for n, path := range []string{f.Certificate, f.Key, f.ClientCA, f.Tokens} {
		var s unix.Stat_t
		if err := unix.Stat(path, &s); err != nil {
			all[n] = stamp{unreachable: true}
			continue
		}
		all[n] = stamp{inode: s.Ino, size: s.Size, modified: s.Mtim.Nano(), changed: s.Ctim.Nano()}
	}
	return all
}

func (c *Credentials) use(m *material) {
	c.material.Store(m)
	if leaf := m.certificate.Leaf; leaf != nil && c.now().After(leaf.NotAfter) {
		c.log.Warn("the certificate of the TLS listener has expired", "file", c.files.Certificate, "expired", leaf.NotAfter)
	}
}

// Reload reads the files again. If one is not right all stay as they were, and the error says why.
func (c *Credentials) Reload() error {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.seen = c.files.stamps() // before it reads: what changes meanwhile is read once more
	m, err := c.files.read()
	if err != nil {
		c.log.Error("read the files of the TLS listener: those from before stay in use", "error", err)
		return err
	}
	c.use(m)
	c.endRefused()
	c.log.Info("read the files of the TLS listener", "tokens", len(m.tokens))
	return nil
}

// watchEvery is how often the files are looked at, and requests under way are asked whether they may go on.
const watchEvery = 2 * time.Second

// Run reads files that have changed, and ends requests whose token or certificate has expired, until ctx ends.
func (c *Credentials) Run(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.reading.Lock()
		changed := c.seen != c.files.stamps()
		c.reading.Unlock()
		if changed {
			_ = c.Reload() // it is logged
		}
		c.endRefused()
	}
}

// Hold has end called when allowed becomes false, until the returned function is called.
func (c *Credentials) Hold(allowed func() bool, end func()) (release func()) {
	h := &hold{allowed, end}
	c.mu.Lock()
	c.held[h] = struct{}{}
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		delete(c.held, h)
		c.mu.Unlock()
	}
}

func (c *Credentials) endRefused() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for h := range c.held {
		if !h.allowed() {
			h.end()
		}
	}
}

// TLS returns the settings of a listener: TLS 1.3 alone, and HTTP/1.1. There are no session tickets, by which a
// client would come back without its certificate being looked at.
func (c *Credentials) TLS() *tls.Config {
	base := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}, SessionTicketsDisabled: true, Time: c.now}
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		m, now := c.material.Load(), base.Clone()
		now.GetConfigForClient = nil
		now.Certificates, now.ClientCAs = []tls.Certificate{m.certificate}, m.clients
		switch {
		case m.clients != nil && c.files.Tokens != "":
			now.ClientAuth = tls.VerifyClientCertIfGiven
		case m.clients != nil:
			now.ClientAuth = tls.RequireAndVerifyClientCert
		}
		return now, nil
	}
	return base
}

// ErrUnknown: a request has neither a token nor a certificate that is right. Which of a token is wrong it does not say.
var ErrUnknown = errors.New("neither a valid token nor a valid client certificate")

// Identify returns who has sent a request over TLS. A token, if there is one, decides. Certificates are verified again for every
// request: the CA may be another by now. Errors: ErrUnknown.
func (c *Credentials) Identify(p *Policy, r *http.Request) (Identity, error) {
	m := c.material.Load()
	if given := r.Header.Values("Authorization"); len(given) > 0 {
		scheme, token, _ := strings.Cut(given[0], " ")
		t, known := find(m.tokens, sha256.Sum256([]byte(token)), c.now())
		if !known || len(given) > 1 || !strings.EqualFold(scheme, "Bearer") {
			return Identity{}, ErrUnknown
		}
		return Identity{Role: t.Role, Name: "token " + t.Name}, nil
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || m.clients == nil {
		return Identity{}, ErrUnknown
	}
	others := x509.NewCertPool()
	for _, ca := range r.TLS.PeerCertificates[1:] {
		others.AddCert(ca)
	}
	leaf := r.TLS.PeerCertificates[0]
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: m.clients, Intermediates: others, CurrentTime: c.now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return Identity{}, ErrUnknown
	}
	return p.Certificate(leaf), nil
}
