// Package listen has what lbctl serve listens on, and for whom: the flags, and what they open.
package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/access"
	"lbctl/control/rest"
	"lbctl/lb"
)

// DefaultMetrics is where Prometheus finds the daemon of a host if no flag says another place.
const DefaultMetrics = "127.0.0.1:9402"

// Flags are those of serve about listeners.
type Flags struct {
	operators, viewers access.Rules
	// address is that of the API over TCP, metrics that of the page for Prometheus; "" for none.
	address, metrics string
	files            access.Files
	// askedMetrics: the place of metrics was named, so it must be had.
	askedMetrics bool
}

// Add adds the flags to a command.
func (f *Flags) Add(c *cobra.Command) {
	c.Flags().Var(&f.operators, "operators", "who may do everything, besides root and the user of the daemon: user:NAME, group:NAME, and names of client certificates, cn:, ou:, dns:, uri:; "+
		"separated by commas (default: the members of the socket's group)")
	c.Flags().Var(&f.viewers, "viewers", "who may read, named as in --operators. With users or groups in either flag the socket is open to all (mode 0666), and answers those alone")
	c.Flags().StringVar(&f.address, "listen", "", "serve the API over TCP, too: ADDRESS:PORT, with TLS 1.3, to clients with a certificate or a token")
	c.Flags().StringVar(&f.files.Certificate, "tls-cert", "", "the certificate of --listen, PEM, with the chain")
	c.Flags().StringVar(&f.files.Key, "tls-key", "", "its key, PEM, mode 0600")
	c.Flags().StringVar(&f.files.ClientCA, "client-ca", "", "the CAs whose certificates clients may have, PEM; --operators and --viewers give them roles")
	c.Flags().StringVar(&f.files.Tokens, "tokens", "", "the file of tokens that clients may have, mode 0600, with the lines of lbctl token new")
	c.Flags().StringVar(&f.metrics, "metrics", DefaultMetrics, "serve /metrics, /healthz and /readyz alone, over HTTP to everybody who gets there: [ADDRESS]:PORT, without an address on 127.0.0.1; off for nowhere")
}

// Check returns why flags do not go together.
func (f *Flags) Check(c *cobra.Command) error {
	f.askedMetrics = c.Flags().Changed("metrics")
	if f.address == "" {
		for _, name := range []string{"tls-cert", "tls-key", "client-ca", "tokens"} {
			if c.Flags().Changed(name) {
				return cli.Usage(c, "--%s is of --listen, which is missing", name)
			}
		}
	}
	switch {
	case f.address != "" && (f.files.Certificate == "" || f.files.Key == ""):
		return cli.Usage(c, "--listen needs --tls-cert and --tls-key: the API is never served in plain text over TCP")
	case f.address != "" && f.files.ClientCA == "" && f.files.Tokens == "":
		return cli.Usage(c, "--listen needs --client-ca or --tokens: without them nobody could be known")
	}
	var err error
	if f.address, err = place(f.address, ""); err != nil {
		return cli.Usage(c, "--listen: %v", err)
	}
	if f.metrics == "off" {
		f.metrics = ""
	}
	if f.metrics, err = place(f.metrics, "127.0.0.1"); err != nil {
		return cli.Usage(c, "--metrics: %v", err)
	}
	return nil
}

// place reads ADDRESS:PORT. Where there is no address the default one is taken.
func place(text, address string) (string, error) {
	if text == "" {
		return "", nil
	}
	host, port, err := net.SplitHostPort(text)
	if n, wrong := net.LookupPort("tcp", port); err != nil || wrong != nil || n < 0 || port == "" {
		return "", fmt.Errorf("%q: want ADDRESS:PORT, like 127.0.0.1:9402 or [::1]:9402", text)
	}
	if host == "" {
		host = address
	}
	if host != "" && net.ParseIP(host) == nil && host != "localhost" {
		return "", fmt.Errorf("%q: want the address as a number, like 127.0.0.1:9402", text)
	}
	return net.JoinHostPort(host, port), nil
}

// Listeners are what serve listens on.
type Listeners struct {
	Policy access.Policy
	// API are those of the API, the unix socket first.
	API []net.Listener
	// Credentials are those of the API over TCP, nil without it.
	Credentials *access.Credentials
	// Metrics is nil where there is none.
	Metrics net.Listener
}

// Open opens what the flags say. Errors: lb.ErrConflict for what is in use; lb.ErrDenied; lb.ErrInvalid; those of the files. They have hints
// where the cause is not the socket.
func (f *Flags) Open(socket string, log *slog.Logger) (*Listeners, error) {
	l := &Listeners{Policy: access.Policy{Operators: f.operators, Viewers: f.viewers, Owner: uint32(os.Geteuid()), SocketGroup: uint32(os.Getegid())}}
	var err error
	if f.address != "" {
		if l.Credentials, err = access.Load(f.files, log, time.Now); err != nil {
			return nil, cli.Advise(err, "see lbctl serve --help: --tls-cert, --tls-key, --client-ca, --tokens")
		}
	}
	mode := os.FileMode(0o660)
	if l.Policy.OpenSocket() {
		mode = 0o666
	}
	api, err := rest.Listen(socket, mode)
	if err != nil {
		return nil, err
	}
	l.API = append(l.API, api)
	if f.address != "" {
		over, err := listenTCP(f.address, "--listen")
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.API = append(l.API, over)
	}
	if f.metrics == "" {
		return l, nil
	}
	l.Metrics, err = listenTCP(f.metrics, "--metrics")
	switch {
	case err != nil && f.askedMetrics:
		return nil, errors.Join(err, l.Close())
	case err != nil: // another daemon of this host has the default place
		log.Warn("no listener for Prometheus: name another place with --metrics", "error", err)
	}
	return l, nil
}

func listenTCP(address, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l, nil
	}
	switch err = lb.Denied(err); {
	case errors.Is(err, lb.ErrDenied):
		return nil, cli.Advise(fmt.Errorf("%s %s: %w", flag, address, err), "use a port above 1023")
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, cli.Advise(fmt.Errorf("%s %s: %w: it is in use", flag, address, lb.ErrConflict), "stop what listens there, or use another port")
	}
	return nil, cli.Advise(fmt.Errorf("%s %s: %w", flag, address, err), "name an address of this host")
}

// Close closes all.
func (l *Listeners) Close() error {
	var errs []error
	for _, api := range l.API {
		errs = append(errs, api.Close())
	}
	if l.Metrics != nil {
		errs = append(errs, l.Metrics.Close())
	}
	return errors.Join(errs...)
}

// Reload reads the files of the API over TCP again. What is wrong with them is logged.
func (l *Listeners) Reload() {
	if l.Credentials != nil {
		_ = l.Credentials.Reload()
	}
}

// Run keeps the credentials up to date, until ctx ends.
func (l *Listeners) Run(ctx context.Context) {
	if l.Credentials != nil {
		l.Credentials.Run(ctx)
	}
}

// LogTo logs where is listened.
func (l *Listeners) LogTo(log *slog.Logger) {
	for _, api := range l.API[1:] {
		log.Info("the API is served over TLS", "address", api.Addr().String())
	}
	if l.Metrics != nil {
		log.Info("metrics are served", "url", "http://"+l.Metrics.Addr().String()+"/metrics")
	}
}
