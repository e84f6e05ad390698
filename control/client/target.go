package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"lbctl/lb"
)

// Target is a daemon, and what its client is known by.
type Target struct {
	// Socket is its unix socket. It is not used where there is a Server.
	Socket string
	// Server is its address over TCP: "https://HOST:PORT".
	Server string
	// CA is a file with the CAs that the server's certificate may be of, PEM; "" stands for those of the system.
	CA string
	// Certificate and Key are files with the client's, PEM; Token is a file with a token. Each may be "".
	Certificate, Key, Token string
}

// To returns a client of a daemon. It does not connect. Where the target is not right every call returns why: lb.ErrInvalid, lb.ErrDenied, or
// that of a file.
func To(t Target) *Client {
	if t.Server == "" {
		return New(t.Socket)
	}
	c := &Client{place: t.Server, base: strings.TrimSuffix(t.Server, "/"), most: maxAnswer}
	settings, token, err := t.read()
	c.wrong, c.token = err, token
	c.http = &http.Client{
		Transport: &http.Transport{TLSClientConfig: settings, IdleConnTimeout: 10 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
			DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a token goes nowhere else
	}
	return c
}

// read checks the target and reads its files.
func (t Target) read() (settings *tls.Config, token string, err error) {
	u, err := url.Parse(t.Server)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, "", &hinted{fmt.Errorf("server %q: %w", t.Server, lb.ErrInvalid), "want https://HOST:PORT: over TCP the API is not served in plain text"}
	}
	settings = &tls.Config{MinVersion: tls.VersionTLS13}
	if t.CA != "" {
		text, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, "", lb.Denied(err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(text) {
			return nil, "", fmt.Errorf("%s: %w: no certificate in PEM", t.CA, lb.ErrInvalid)
		}
	}
	if (t.Certificate == "") != (t.Key == "") {
		return nil, "", fmt.Errorf("client certificate: %w: a certificate and a key belong together", lb.ErrInvalid)
	}
	if t.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return nil, "", fmt.Errorf("client certificate: %w", lb.Denied(err))
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	if t.Token != "" {
		token, err = readToken(t.Token)
	}
	return settings, token, err
}

// readToken reads a file with a token, which others may not read. No error quotes it.
func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", lb.Denied(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return "", &hinted{fmt.Errorf("%s: %w: others can read the token (mode %04o)", path, lb.ErrDenied, info.Mode().Perm()), "chmod 600 " + path}
	}
	const most = 1000
	text, err := io.ReadAll(io.LimitReader(f, most))
	token := strings.TrimSpace(string(text))
	if err == nil && (token == "" || len(text) == most || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })) {
		err = fmt.Errorf("%s: %w: want one line with a token", path, lb.ErrInvalid)
	}
	return token, err
}

// refused says what is wrong with a TLS connection that was not made or was ended, nil if it is something else.
func (c *Client) refused(err error) error {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var alert tls.AlertError
	switch {
	case errors.As(err, &unknown), errors.As(err, &invalid), errors.As(err, &host):
		return &hinted{fmt.Errorf("connect to %s: %w: %w", c.place, lb.ErrDenied, innermost(err)), "name its CA with --ca or LBCTL_CA, and the name that its certificate has with --server"}
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls:"):
		return &hinted{fmt.Errorf("connect to %s: %w: %w", c.place, lb.ErrDenied, innermost(err)), "name a certificate that the daemon knows with --client-cert and --client-key"}
	}
	return nil
}

// innermost leaves out what net/http says of the request.
func innermost(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// dialUnix connects a socket.
func dialUnix(socket string) func(context.Context, string, string) (net.Conn, error) {
	var d net.Dialer
	return func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) }
}
