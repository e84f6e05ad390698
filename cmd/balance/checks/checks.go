// Package checks has the daemon check its replicas: it hands the services of the intent to the checker, and what that finds to the
// engine.
package checks

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"syscall"

	"lbctl/control/engine"
	"lbctl/control/health"
	"lbctl/lb"
	"lbctl/lb/checkpath"
)

// Checks are the checks of a daemon.
type Checks struct {
	*health.Checker
	engine *engine.Engine
	log    *slog.Logger
	path   *checkpath.Path // nil: there is none
}

// statuses are those of the checker as the engine has them.
var statuses = map[health.Status]engine.HealthStatus{health.Unknown: engine.Unknown, health.Healthy: engine.Healthy, health.Unhealthy: engine.Unhealthy}

// New returns checks that go by the kernel of this machine, of a datapath with that name; without one, in tests, to replicas of
// mode nat alone.
func New(e *engine.Engine, kernel bool, name string, log *slog.Logger) (*Checks, error) {
	c := &Checks{engine: e, log: log}
	way := natOnly
	if kernel {
		var err error
		if c.path, err = checkpath.Open(checkpath.Options{Name: name, Mark: checkpath.DefaultMark, Attached: c.attached, Logger: log}); err != nil {
			return nil, err
		}
		way = c.path.Route
	}
	c.Checker = health.New(health.Options{Way: way, Tell: c.tell, Counts: c.counts, Held: c.held})
	return c, nil
}

// natOnly is the way where there is no kernel.
func natOnly(s lb.Service, replica netip.AddrPort) (to netip.AddrPort, control func(network, address string, c syscall.RawConn) error, err error) {
	if s.Mode != lb.NAT {
		err = errors.New("checks of this mode go by the kernel's datapath")
	}
	return replica, nil, err
}

// attached returns the indexes of the interfaces that are attached.
func (c *Checks) attached() (indexes []int) {
	all, err := c.engine.Observe().Interfaces()
	if err != nil {
		c.log.Error("list interfaces for health checks", "error", err)
	}
	for _, i := range all {
		indexes = append(indexes, i.Index)
	}
	return indexes
}

// counts returns what was counted of flows.
func (c *Checks) counts(of []lb.Service) [][]lb.FlowCount {
	all, err := c.engine.Observe().FlowCounts(of)
	if err != nil {
		c.log.Error("read the counts of flows for health checks", "error", err)
		return nil
	}
	return all
}

func (c *Checks) held(k health.Key) bool {
	h, _ := c.engine.Now().Health(engine.Endpoint(k))
	return h.Held()
}

func (c *Checks) tell(found map[health.Key]health.Result) {
	all := make(map[engine.Endpoint]engine.Health, len(found))
	for k, r := range found {
		all[engine.Endpoint(k)] = engine.Health{Status: statuses[r.Status], Since: r.Since, Reason: r.Reason}
	}
	c.engine.SetHealth(context.Background(), all)
}

// Verify returns which programs that send checks are not as they were attached: see checkpath.Path.
func (c *Checks) Verify(repair bool) lb.Verification {
	if c.path == nil {
		return lb.Verification{}
	}
	return c.path.Verify(repair)
}

// Run checks until ctx ends.
func (c *Checks) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { c.Checker.Run(ctx) })
	c.follow(ctx)
	running.Wait()
	if c.path == nil {
		return
	}
	if err := c.path.Close(); err != nil {
		c.log.Error("end the way of health checks", "error", err)
	}
}

// follow hands every intent to the checker.
func (c *Checks) follow(ctx context.Context) {
	news := c.engine.Subscribe()
	defer func() { news.Close() }()
	for {
		c.Set(c.engine.Now().Wanted.Services)
		for changed := false; !changed; {
			select {
			case <-ctx.Done():
				return
			case e, open := <-news.Events():
				if _, changed = e.News.(engine.IntentChanged); !open {
					news, changed = c.engine.Subscribe(), true
				}
			}
		}
	}
}
