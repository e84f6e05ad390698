package balance

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/lb"
	"lbctl/lb/doctor"
	"lbctl/lb/doctor/netstate"
)

// examiner is a kernel whose network the doctor can examine.
type examiner interface {
	Examine(netstate.Scope) ([]doctor.Finding, error)
}

// Examine returns what the doctor finds in the network namespace of the process.
func (XDP) Examine(q netstate.Scope) ([]doctor.Finding, error) {
	f, err := netstate.Gather(q)
	if err != nil {
		return nil, err
	}
	return doctor.Examine(f), nil
}

// watchdog has the doctor look after a running daemon: what makes packets vanish is logged when it is found, once.
type watchdog struct {
	kernel examiner // nil: there is nothing to examine
	engine *engine.Engine
	log    *slog.Logger

	mu   sync.Mutex // one look at a time
	said []api.Warning
}

func newWatch(k cli.Kernel, e *engine.Engine, log *slog.Logger) *watchdog {
	w := &watchdog{engine: e, log: log}
	w.kernel, _ = k.(examiner)
	return w
}

const (
	// lookAgain is the time between looks: of a changed setting of the kernel there is no news.
	lookAgain = time.Minute
	// lookEvery is the least time from a look to the next: a look takes as long as some changes do, and looks at the last of them.
	lookEvery = time.Second
	// mostTargets is how many VIPs and how many replicas are looked at, so that a look stays short.
	mostTargets = 256
	// mostWarnings is how many are told.
	mostWarnings = 16
)

// run looks at the start, after every change of the intent or of what is attached, and now and then, until ctx ends.
func (w *watchdog) run(ctx context.Context) {
	if w.kernel == nil {
		return
	}
	news := w.engine.Subscribe()
	defer func() { news.Close() }()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		w.tell()
		rest := time.After(lookEvery)
		for rested, due := false, false; !rested || !due; {
			select {
			case <-ctx.Done():
				return
			case <-rest:
				rested = true
			case <-tick.C:
				due = true
			case e, open := <-news.Events():
				due = due || !open || concerns(e.News)
				if !open {
					news = w.engine.Subscribe()
				}
			}
		}
	}
}

// concerns tells whether news may change what the doctor finds.
func concerns(n engine.News) bool {
	switch n.(type) {
	case engine.IntentChanged, engine.InterfaceAttached, engine.InterfaceMissing:
		return true
	}
	return false
}

// tell logs what is different since the last time.
func (w *watchdog) tell() {
	now := w.warnings()
	for _, x := range now {
		if !slices.Contains(w.said, x) {
			about := []any{"check", x.Check, "subject", x.Subject, "why", x.Why, "cure", x.Cure}
			if x.Where != "" {
				about = append(about, "where", x.Where)
			}
			if x.Others > 0 {
				about = append(about, "others", x.Others)
			}
			w.log.Warn(x.Check+": "+x.Seen, about...) // what was seen may be a word, as "none" of a route
		}
	}
	for _, x := range w.said {
		if !slices.ContainsFunc(now, func(n api.Warning) bool { return n.Check == x.Check && n.Subject == x.Subject }) {
			w.log.Info("cured: "+x.Check+": "+x.Seen, "check", x.Check, "subject", x.Subject)
		}
	}
	w.said = now
}

// warnings returns what the doctor knows of packets that vanish.
func (w *watchdog) warnings() []api.Warning {
	if w.kernel == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	q, err := w.scope()
	if err != nil || len(q.Interfaces) == 0 {
		return nil // the status says what is wrong
	}
	found, err := w.kernel.Examine(q)
	if err != nil { // an interface has gone meanwhile
		w.log.Debug("examine the network", "error", err)
		return nil
	}
	var all []api.Warning
	fatal, others := doctor.Fatal(found)
	for n, f := range fatal[:min(len(fatal), mostWarnings)] {
		all = append(all, api.Warning{Check: f.Name, Severity: string(f.Severity), Subject: f.Subject, Others: others[n],
			Seen: f.Seen, Why: f.Why, Cure: f.Cure, Where: f.Where})
	}
	return all
}

// scope is what is attached, and the services.
func (w *watchdog) scope() (netstate.Scope, error) {
	q := netstate.Scope{Daemon: doctor.DaemonAnswers}
	attached, err := w.engine.Observe().Interfaces()
	if err != nil {
		return q, err
	}
	for _, i := range attached {
		q.Interfaces = append(q.Interfaces, i.Name)
	}
	q.Attached = q.Interfaces
	add := func(to *[]netstate.Target, a netip.Addr, s lb.Service) {
		if t := (netstate.Target{Address: a, Mode: s.Mode, UDP: s.Encapsulation != lb.Plain}); len(*to) < mostTargets && !slices.Contains(*to, t) {
			*to = append(*to, t)
		}
	}
	for _, s := range w.engine.Now().Effective.Services {
		add(&q.VIPs, s.VIP.Address.Addr(), s.Service)
		for _, r := range s.Replicas {
			if r.State != lb.Down {
				add(&q.Replicas, r.Address.Addr(), s.Service)
			}
		}
	}
	return q, nil
}
