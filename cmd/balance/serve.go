package balance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"lbctl/cmd/balance/checks"
	"lbctl/cmd/balance/listen"
	"lbctl/cmd/balance/privileges"
	"lbctl/cmd/cli"
	"lbctl/control/access"
	"lbctl/control/config"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/metrics"
	"lbctl/control/rest"
	"lbctl/control/store"
	"lbctl/control/wire"
	"lbctl/lb"
	"lbctl/lb/xdp"
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
	level          string
	labels         metrics.Labels
	doors          listen.Flags
	// unprivileged: capabilities that are not needed are given up.
	unprivileged bool
}

func serveCommand(a *cli.App) *cobra.Command {
	d := daemon{labels: metrics.DefaultLabels()}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: `Run the daemon. It keeps the datapath as the intent says, and serves the API on a unix socket.
The intent is the file or, without -f, the one that was stored last or, where none is stored, what is
pinned. Other datapath.limits than those of the pinned tables, and tables of another build, are replaced
without a gap. What was set by hand on replicas (lbctl drain, down, weight) stays, whatever the file declares.
SIGHUP has it read the file again. The kernel goes on balancing traffic after the daemon has
ended, by whatever signal; the next daemon takes the datapath over.`,
		Example: `  lbctl serve -f lb.yaml
  lbctl serve                                             # with the stored intent
  lbctl serve --socket /tmp/a.sock --state-dir /tmp/a --pin-dir /sys/fs/bpf/a`,
		Args: cli.Takes(),
	}
	c.Flags().StringVarP(&d.file, "file", "f", "", "the configuration file, YAML; - is stdin")
	a.FlagOrVariable(c.Flags(), &d.stateDir, "state-dir", "LBCTL_STATE_DIR", defaultStateDir, "the directory in which the intent is stored")
	pinDirFlag(a, c, &d.pins.Dir)
	ephemeralFlag(c, &d.pins.Ephemeral)
	c.Flags().Var(&d.labels, "metrics-labels", "labels of the series on /metrics: service, vip, protocol, replica; empty for none by service")
	cli.ChoiceFlag(c, &d.log, "log-format", "", "the format of the log on stderr", logText, logJSON)
	cli.ChoiceFlag(c, &d.level, "log-level", "", "what is logged: records of this level and above, and those of the audit log", "info", "debug", "warn", "error")
	c.Flags().BoolVar(&d.unprivileged, "drop-privileges", false, "keep no capability but CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, and gain none")
	d.doors.Add(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := d.doors.Check(c); err != nil {
			return err
		}
		if d.unprivileged {
			if err := dropPrivileges(d.pins); err != nil {
				return err
			}
		}
		return runServe(a, c.Context(), d)
	}
	return c
}

func pinDirFlag(a *cli.App, c *cobra.Command, dir *string) {
	a.FlagOrVariable(c.Flags(), dir, "pin-dir", "LBCTL_PIN_DIR", defaultPinDir, "the directory in which the datapath is pinned, below a BPF file system")
}

func ephemeralFlag(c *cobra.Command, allow *bool) {
	c.Flags().BoolVar(allow, "ephemeral", false, "allow a BPF file system that ends with this mount namespace, and what is attached with it")
}

// dropPrivileges executes lbctl again with few capabilities, after what takes more of them: to mount a BPF file system, and
// to see the mounts of process 1.
func dropPrivileges(p cli.Pins) error {
	parent := filepath.Dir(p.Dir)
	err := xdp.MountBPFFS(parent)
	if err == nil && !p.Ephemeral {
		err = xdp.RequireLasting(parent)
	}
	if err != nil {
		return adviseServe(fmt.Errorf("prepare %s: %w", p.Dir, err), "")
	}
	return privileges.Drop()
}

// runServe runs the daemon until ctx ends. It checks what it can before it touches the datapath.
func runServe(a *cli.App, ctx context.Context, d daemon) error {
	if err := a.Kernel.Check(); err != nil {
		return err
	}
	started := collectLate()
	log := d.log.logger(a.Stderr, d.level)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP) // from now on it does not kill
	defer signal.Stop(signals)
	state, err := store.Open(d.stateDir)
	if err != nil {
		return adviseServe(err, "stop the other daemon, or use another --state-dir")
	}
	defer state.Close()
	stored, err := state.Latest(ctx)
	if err != nil {
		return err
	}
	resolve, err := readConfig(ctx, a, d.file)
	if err != nil {
		return err
	}
	wanted, services, err := d.wanted(a, stored, resolve)
	if err != nil {
		return err
	}
	doors, err := d.doors.Open(a.Socket, log)
	if err != nil {
		return adviseServe(err, "stop what uses it, or use another --socket")
	}
	defer doors.Close()
	dataplane, err := a.Kernel.Open(ctx, d.pins, wanted.Datapath, services, log)
	if err != nil {
		return adviseServe(err, otherTables)
	}
	defer dataplane.Close()
	o := engine.Options{Dataplane: dataplane, Store: state, Logger: log, Source: d.file}
	if stored.Number == 0 {
		if wanted, err = takeOver(&o, wanted, resolve, d); err != nil {
			return err
		}
	}
	e, err := engine.Start(ctx, o, wanted)
	if err != nil {
		return errors.Join(err, discard(dataplane))
	}
	doors.LogTo(log)
	sayKept(log, e)
	log.Info("ready", "socket", a.Socket, "services", len(wanted.Services), "interfaces", len(wanted.Interfaces))
	err = d.run(ctx, a, e, doors, signals, log, started)
	log.Info(lastWords(dataplane))
	return err
}

// run makes the server, and what keeps the daemon going, and runs them until ctx ends.
func (d daemon) run(ctx context.Context, a *cli.App, e *engine.Engine, doors *listen.Listeners, signals <-chan os.Signal, log *slog.Logger, started func()) error {
	_, real := a.Kernel.(XDP)
	health, err := checks.New(e, real, d.pins.Dir, log)
	if err != nil {
		return err
	}
	w := newWatch(a.Kernel, e, log)
	m := manager{log}
	m.ready(e)
	audit := access.NewAudit(d.log.logger(a.Stderr, "info"), time.Now)
	server := rest.New(rest.Options{Engine: e, Labels: &d.labels, Logger: log, Warnings: w.warnings, Version: cli.ThisBuild().Version,
		Collectors: []prometheus.Collector{health}, Verify: health.Verify,
		Policy: &doors.Policy, Credentials: doors.Credentials, Audit: audit})
	return run(ctx, server, doors, e.Run, health.Run, w.run, doors.Run, returnMemory(log, started),
		func(ctx context.Context) { m.watch(ctx, e) },
		func(ctx context.Context) {
			d.reloadAt(ctx, signals, func() { doors.Reload(); d.reload(ctx, a, e, m, audit) })
		})
}

// run serves the API beside what keeps the daemon going, until ctx ends or the server fails.
func run(ctx context.Context, s *rest.Server, l *listen.Listeners, keepers ...func(context.Context)) error {
	ctx, cancel := context.WithCancel(ctx)
	var keeping sync.WaitGroup
	for _, keep := range keepers {
		keeping.Go(func() { keep(ctx) })
	}
	defer keeping.Wait()
	defer cancel()
	if l.Metrics != nil {
		keeping.Go(func() { s.ServeMetrics(ctx, l.Metrics) })
	}
	return s.Serve(ctx, l.API...)
}

// resolver makes an intent of the one before.
type resolver func(base intent.Intent) (intent.Intent, error)

// readConfig reads a configuration file, to be resolved on top of what is stored. Without a name that is taken as it is.
func readConfig(ctx context.Context, a *cli.App, name string) (resolver, error) {
	if name == "" {
		return func(base intent.Intent) (intent.Intent, error) { return base, nil }, nil
	}
	file, err := config.Read(ctx, name, a.Stdin)
	if err != nil {
		return nil, err
	}
	return func(base intent.Intent) (intent.Intent, error) {
		i, err := wire.Resolve(file.Config, base)
		return i, file.Locate(err)
	}, nil
}

// wanted is the intent to start with. Without a stored revision, limits that nobody names are those of what is pinned.
// services are what it forwards; nil if no revision is stored and there is no file.
func (d *daemon) wanted(a *cli.App, stored store.Revision, resolve resolver) (i intent.Intent, services []lb.Service, err error) {
	base := stored.Intent
	if stored.Number == 0 {
		limits, known, err := a.Kernel.Limits(d.pins.Dir)
		if err != nil {
			return i, nil, adviseServe(err, otherTables)
		}
		if known {
			base.Datapath.Limits = limits
		}
	}
	if i, err = resolve(base); err != nil || stored.Number == 0 && d.file == "" {
		return i, nil, err
	}
	return i, engine.Effective(i, engine.Facts{Now: time.Now()}).Forwarded(), nil
}

// takeOver makes an intent of what is pinned, for a start without a stored revision: a state directory that is new, or
// lost, does not ask to end balancing. What a file says is resolved on top of it.
func takeOver(o *engine.Options, wanted intent.Intent, resolve resolver, d daemon) (intent.Intent, error) {
	found, any, err := engine.Recover(o.Dataplane, wanted.Datapath)
	if err != nil || !any {
		return wanted, err
	}
	if d.file == "" {
		o.Actor, o.Source = "recovered", "what is pinned in "+d.pins.Dir
	}
	services, interfaces := make([]string, 0, len(found.Services)), make([]string, 0, len(found.Interfaces))
	for _, s := range found.Services {
		services = append(services, s.Name)
		if s.Hash == lb.ToeplitzHash && d.file == "" {
			o.Logger.Warn("the Toeplitz key of the pinned datapath is not known; the default one is used", "service", s.Name)
		}
	}
	for _, i := range found.Interfaces {
		interfaces = append(interfaces, i.Name)
	}
	o.Logger.Warn("the state directory has no revision, and a datapath is pinned: the start goes on with that; names of services and "+
		"drain deadlines are lost", "state_dir", d.stateDir, "pin_dir", d.pins.Dir, "services", services, "interfaces", interfaces, "limits", fmt.Sprintf("%+v", found.Datapath.Limits))
	return resolve(found)
}

// discard removes what a start that failed has pinned.
func discard(dp lb.Dataplane) error {
	if d, can := dp.(interface{ Discard() error }); can {
		return d.Discard()
	}
	return nil
}

// reloadAt reloads at signals, until ctx ends.
func (d daemon) reloadAt(ctx context.Context, signals <-chan os.Signal, reload func()) {
	for {
		select {
		case <-signals:
			reload()
		case <-ctx.Done():
			return
		}
	}
}

// reload reads the file again. A file that is refused changes nothing.
func (d daemon) reload(ctx context.Context, a *cli.App, e *engine.Engine, m manager, audit *access.Audit) {
	log := m.log
	m.reloading()
	defer m.ready(e)
	if d.file == "" || d.file == "-" {
		log.Info("SIGHUP: there is no file to read again")
		return
	}
	resolve, err := readConfig(ctx, a, d.file)
	event := access.Event{Who: access.Identity{Role: access.Operator, Name: "serve", From: "a signal"}, Operation: "SIGHUP", Path: d.file}
	if err == nil {
		var now *engine.Snapshot
		var done engine.Plan
		if now, done, err = e.Change(ctx, engine.Change{Actor: "serve", Reason: "reload " + d.file, Edit: resolve}); err == nil {
			event = rest.Changed(event, now, done)
		}
	}
	if err != nil {
		event.Detail = err.Error()
	}
	audit.Record(event)
	if err != nil {
		var hinted interface{ Hint() string }
		hint := "correct the file, and send SIGHUP again"
		if errors.As(err, &hinted) {
			hint = hinted.Hint()
		}
		log.Error("reload: everything stays as it was", "file", d.file, "error", err, "hint", hint)
		return
	}
	sayKept(log, e)
	log.Info("reloaded", "file", d.file, "revision", e.Now().Number)
}

// sayKept logs what was set by hand and stays, whatever a file declares.
func sayKept(log *slog.Logger, e *engine.Engine) {
	for _, b := range e.Now().Intent.ByHand() {
		attributes := []any{"service", b.Service, "replica", b.Target.Replica}
		if b.SetsState {
			attributes = append(attributes, "state", b.State, "declared", b.Declared.State)
		}
		if b.Weight != 0 {
			attributes = append(attributes, "weight", b.Weight, "declared_weight", b.Declared.Weight)
		}
		log.Info("kept by hand", append(attributes, "actor", b.Actor, "since", b.Since)...)
	}
}

// otherTables is the advice where the pinned tables are not ours to use.
const otherTables = "use another --pin-dir; or make the tables anew, which ends balancing until then: lbctl purge"

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

func (f logFormat) logger(w io.Writer, level string) *slog.Logger {
	o := &slog.HandlerOptions{}
	var least slog.Level
	if least.UnmarshalText([]byte(level)) == nil {
		o.Level = least
	}
	if f == logJSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
