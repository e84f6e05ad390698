// Package status has the command that says on one page whether all that is wanted is so.
package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
)

// page is what the command prints; scripts rely on its names.
type page struct {
	// Good: all that is wanted is so.
	Good     bool   `json:"is_good"`
	Revision uint64 `json:"revision"`
	// Problems are what is not as it is wanted, and what to do.
	Problems   []problem             `json:"problems"`
	Interfaces []api.InterfaceStatus `json:"interfaces"`
	Services   []service             `json:"services"`
	// Drops are reasons of dropped packets that were counted in the last moment, most first; Losses what was lost after the
	// verdict then.
	Drops  []drop `json:"drops"`
	Losses []loss `json:"losses"`
}

type problem struct {
	Reason string `json:"reason"`
	Hint   string `json:"hint"`
}

// service is what there is of a service, and how many replicas it has of which kind.
type service struct {
	Name string `json:"name"`
	api.Endpoint
	Mode string `json:"mode"`
	api.ReplicaCounts
}

// drop is how many packets were dropped, and why; per second.
type drop struct {
	Reason string  `json:"reason"`
	Rate   float64 `json:"packets_per_second"`
}

// loss is how many packets an interface lost, per second.
type loss struct {
	Interface string  `json:"interface"`
	Cause     string  `json:"cause"`
	Rate      float64 `json:"packets_per_second"`
}

// Command prints the state of the balancer.
func Command(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Say on one page whether all that is wanted is so",
		Long: `Print interfaces, services with the replicas that serve of all, packets that are dropped now, and for what is not as
wanted what to do. It exits 0 only if all that is wanted is so: the datapath forwards as intended, every wanted
interface is attached as wanted, packets get to every replica that is not down, none of those that are checked is unhealthy or
unknown, and every service has one that is active.
Packets that are dropped do not change that: some always are.`,
		Example: `  lbctl status
  lbctl status -o json
  lbctl status >/dev/null && echo all is well`,
		Args: cli.Takes(),
	}
	over := c.Flags().Duration("over", time.Second, "the time over which drops are counted")
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *over < time.Millisecond || *over > time.Hour {
			return cli.Usage(c, "--over: %v is out of range: want 1ms to 1h", *over)
		}
		d := a.Client()
		defer d.Close()
		p, err := gather(c.Context(), d, a.Clock, *over)
		if err != nil {
			return err
		}
		if err := a.Print(*f, p, p.print); err != nil {
			return err
		}
		if !p.Good {
			first := p.Problems[0]
			return &cli.Failure{Code: cli.ExitFailed, What: first.Reason, Do: first.Hint}
		}
		return nil
	}
	return c
}

// Page returns what has the command's answer of the next second.
func Page(a *cli.App) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		d := a.Client()
		defer d.Close()
		p, err := gather(ctx, d, a.Clock, time.Second)
		if err != nil {
			return nil, err
		}
		return p, nil
	}
}

// gather asks the daemon for all that the page has.
func gather(ctx context.Context, d *client.Client, clock cli.Clock, over time.Duration) (p page, err error) {
	began := clock.Now() // the daemon counts first of all
	before, err := d.Counters(ctx, "reason")
	if err != nil {
		return p, err
	}
	select {
	case <-clock.After(over):
	case <-ctx.Done():
		return p, ctx.Err()
	}
	took := clock.Now().Sub(began)
	after, err := d.Counters(ctx, "reason")
	if err != nil {
		return p, err
	}
	p = page{Problems: []problem{}}
	p.count(before, after, took)
	if err := p.ready(ctx, d); err != nil {
		return p, err
	}
	interfaces, err := d.Interfaces(ctx)
	if err != nil {
		return p, err
	}
	p.Interfaces = interfaces.Interfaces
	status, err := d.Status(ctx)
	if err != nil {
		return p, err
	}
	if err := p.name(ctx, d, status.Services); err != nil {
		return p, err
	}
	p.serve(status.Services)
	p.Good = len(p.Problems) == 0
	return p, nil
}

// count takes the difference of two readings of the counters.
func (p *page) count(before, after api.Counters, took time.Duration) {
	p.Drops, p.Losses = []drop{}, []loss{}
	had := map[string]uint64{}
	for _, r := range before.Reasons {
		had[r.Reason] = r.Packets
	}
	for _, r := range after.Reasons {
		if n := r.Packets - had[r.Reason]; r.Dropped && n > 0 {
			p.Drops = append(p.Drops, drop{r.Reason, float64(n) / took.Seconds()})
		}
	}
	slices.SortStableFunc(p.Drops, func(a, b drop) int { return int(b.Rate - a.Rate) })
	type place struct{ name, cause string }
	lost := map[place]uint64{}
	for _, l := range before.Losses {
		lost[place{l.Interface, l.Cause}] = l.Packets
	}
	for _, l := range after.Losses {
		if n := l.Packets - lost[place{l.Interface, l.Cause}]; n > 0 {
			p.Losses = append(p.Losses, loss{l.Interface, l.Cause, float64(n) / took.Seconds()})
		}
	}
}

// ready asks whether the datapath forwards as intended.
func (p *page) ready(ctx context.Context, d *client.Client) error {
	health, err := d.Ready(ctx)
	var refused *client.Error
	switch {
	case err == nil:
		p.Revision = health.Revision
		return nil
	case !errors.As(err, &refused):
		return err
	}
	p.Problems = append(p.Problems, problem{refused.Problem.Detail, refused.Hint()})
	_, p.Revision, err = d.Config(ctx)
	return err
}

// mostNamed is of how many services the replicas are asked for by name; beyond it those of all are.
const mostNamed = 100

// name says which replicas get no packets, are unhealthy, or not known to be healthy. It asks for those of services that have one.
func (p *page) name(ctx context.Context, d *client.Client, services []api.ServiceConditions) error {
	var of []string
	for _, s := range services {
		if s.Unreachable+s.Unhealthy+s.Unknown > 0 {
			of = append(of, s.Name)
		}
	}
	if len(of) == 0 {
		return nil
	}
	if len(of) > mostNamed {
		of = nil
	}
	traffic, err := d.Traffic(ctx, of...)
	if errors.Is(err, lb.ErrNotFound) { // one was removed between the two answers
		traffic, err = d.Traffic(ctx)
	}
	for _, r := range traffic.Replicas {
		p.look(r)
	}
	return err
}

// look says what is wrong with a replica.
func (p *page) look(r api.ReplicaTraffic) {
	switch {
	case r.State == lb.Down.String():
	case r.Reason != "":
		p.Problems = append(p.Problems, problem{
			fmt.Sprintf("replica %s of %s gets no packets: %s", r.Address, r.ServiceName, r.Reason),
			fmt.Sprintf("give it another address, or remove it: lbctl replica remove %s %s", r.ServiceName, r.Address),
		})
	case r.Health == nil:
	case r.Health.Status == "unhealthy":
		p.Problems = append(p.Problems, problem{
			fmt.Sprintf("replica %s of %s is unhealthy since %s: %s", r.Address, r.ServiceName, r.Health.Since.Format(time.RFC3339), r.Health.Reason),
			fmt.Sprintf("mend it; or, if it is not to come back, lbctl replica remove %s %s", r.ServiceName, r.Address),
		})
	case r.Health.Status == "unknown":
		p.Problems = append(p.Problems, problem{
			fmt.Sprintf("the health of replica %s of %s is not known: %s", r.Address, r.ServiceName, r.Health.Reason),
			"wait for the first check; if that changes nothing, do what the reason says",
		})
	}
}

// serve lists the services, and says which have no active replica.
func (p *page) serve(services []api.ServiceConditions) {
	p.Services = make([]service, 0, len(services))
	for _, s := range services {
		p.Services = append(p.Services, service{s.Name, s.Endpoint, s.Mode, s.ReplicaCounts})
		switch {
		case s.Active > 0:
		case s.HealthDisregarded:
			p.Problems = append(p.Problems, problem{
				fmt.Sprintf("no replica of %s is healthy: health is disregarded, and all get traffic", s.Name),
				"mend the replicas, or the check: lbctl get services " + s.Name + " -o json",
			})
		default:
			p.Problems = append(p.Problems, problem{
				fmt.Sprintf("service %s has no active replica: new flows are dropped", s.Name),
				fmt.Sprintf("add one: lbctl replica add %s ADDRESS:PORT", s.Name),
			})
		}
	}
}
