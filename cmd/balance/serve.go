package balance

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/config"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/rest"
	"lbctl/control/store"
	"lbctl/control/wire"
	"lbctl/lb"
)

// The directories of the daemon if no flag names others.
const (
	defaultStateDir = "/var/lib/lbctl"
	defaultPinDir   = "/sys/fs/bpf/lbctl"
)

// daemon are the flags of serve.
type daemon struct {
	file, stateDir string
	pins           cli.Pins
	log            logFormat
	labels         rest.Labels
}

func serveCommand(a *cli.App) *cobra.Command {
	d := daemon{labels: rest.DefaultLabels()}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: `Run the daemon. It keeps the datapath as the intent says, and serves the API on a unix socket.
The intent is the file or, without -f, the one that was stored last. The kernel goes on balancing
traffic after the daemon has ended, by whatever signal; the next daemon takes the datapath over.`,
		Example: `  lbctl serve -f lb.yaml
  lbctl serve                                             # with the stored intent
  lbctl serve --socket /tmp/a.sock --state-dir /tmp/a --pin-dir /sys/fs/bpf/a`,
		Args: cli.Takes(),
	}
	c.Flags().StringVarP(&d.file, "file", "f", "", "the configuration file, YAML; - is stdin")
	c.Flags().StringVar(&d.stateDir, "state-dir", defaultStateDir, "the directory in which the intent is stored")
	pinDirFlag(c, &d.pins.Dir)
	ephemeralFlag(c, &d.pins.Ephemeral)
	c.Flags().Var(&d.labels, "metrics-labels", "labels of the series on /metrics: service, vip, protocol, replica; empty for none by service")
	cli.ChoiceFlag(c, &d.log, "log-format", "", "the format of the log on stderr", logText, logJSON)
	c.RunE = func(c *cobra.Command, _ []string) error { return runServe(a, c.Context(), d) }
	return c
}

func pinDirFlag(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "pin-dir", defaultPinDir, "the directory in which the datapath is pinned, below a BPF file system")
}

func ephemeralFlag(c *cobra.Command, allow *bool) {
	c.Flags().BoolVar(allow, "ephemeral", false, "allow a BPF file system that ends with this mount namespace, and what is attached with it")
}

// runServe runs the daemon until ctx ends. It checks what it can before it touches the datapath.
func runServe(a *cli.App, ctx context.Context, d daemon) error {
	if err := a.Kernel.Check(); err != nil {
		return err
	}
	log := d.log.logger(a.Stderr)
	state, err := store.Open(d.stateDir)
	if err != nil {
		return adviseServe(err, "stop the other daemon, or use another --state-dir")
	}
	defer state.Close()
	intent, err := readIntent(ctx, a, state, d.file)
	if err != nil {
		return err
	}
	listener, err := rest.Listen(a.Socket)
	if err != nil {
		return adviseServe(err, "stop what uses it, or use another --socket")
	}
	defer listener.Close()
	dataplane, err := a.Kernel.Open(ctx, d.pins, intent.Datapath, log)
	if err != nil {
		return adviseServe(err, "keep datapath as it was, or make the tables anew: lbctl purge; another daemon needs another --pin-dir")
	}
	defer dataplane.Close()
	e, err := engine.Start(ctx, engine.Options{Dataplane: dataplane, Store: state, Logger: log, Source: d.file}, intent)
	if err != nil {
		return err
	}
	log.Info("ready", "socket", a.Socket, "services", len(intent.Services), "interfaces", len(intent.Interfaces))
	err = run(ctx, e, rest.New(rest.Options{Engine: e, Labels: &d.labels, Logger: log, Version: cli.ThisBuild().Version}), listener)
	log.Info(lastWords(dataplane))
	return err
}

// run keeps the datapath as intended and serves the API, until ctx ends or the server fails.
func run(ctx context.Context, e *engine.Engine, s *rest.Server, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() { e.Run(ctx) })
	defer keeping.Wait()
	defer cancel()
	return s.Serve(ctx, l)
}

// readIntent returns the intent of a file, on top of the one that is stored; without a file the stored one.
func readIntent(ctx context.Context, a *cli.App, state store.Store, name string) (intent.Intent, error) {
	stored, err := state.Latest(ctx)
	if err != nil {
		return intent.Intent{}, err
	}
	if name == "" {
		return stored.Intent, nil
	}
	file, err := config.Read(ctx, name, a.Stdin)
	if err != nil {
		return intent.Intent{}, err
	}
	intent, err := wire.Resolve(file.Config, stored.Intent)
	return intent, file.Locate(err)
}

// adviseServe says what to do about a daemon that cannot start, unless the error says it. onConflict is the
// advice for lb.ErrConflict.
func adviseServe(err error, onConflict string) error {
	var hinted interface{ Hint() string }
	switch {
	case errors.As(err, &hinted):
		return err
	case errors.Is(err, lb.ErrConflict):
		return cli.Advise(err, "%s", onConflict)
	case errors.Is(err, lb.ErrDenied):
		return cli.Advise(err, "run lbctl serve as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN and directories of its own")
	case errors.Is(err, lb.ErrUnsupported):
		return cli.Advise(err, "run Linux 6.1 or later with BPF, and pin below a BPF file system")
	case errors.Is(err, lb.ErrInvalid):
		return cli.Advise(err, "use another path, or remove the file")
	}
	return err
}

// logFormat is the format of the log.
type logFormat string

const (
	logText logFormat = "text"
	logJSON logFormat = "json"
)

func (f logFormat) logger(w io.Writer) *slog.Logger {
	if f == logJSON {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}
