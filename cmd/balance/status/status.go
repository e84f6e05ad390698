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

// service counts the replicas of a service by what they get.
type service struct {
	Name     string `json:"name"`
	VIP      string `json:"vip"`
	EndPort  *int64 `json:"end_port,omitempty"`
	Protocol string `json:"protocol"`
	Mode     string `json:"mode"`
	// Active and Draining are in that state, can be reached, and are not known to be unhealthy; Unreachable are those that no
	// packet gets to. Starting are the active ones that have not all of their share yet.
	Active      int `json:"active_count"`
	Starting    int `json:"starting_count"`
	Draining    int `json:"draining_count"`
	Down        int `json:"down_count"`
	Unhealthy   int `json:"unhealthy_count"`
	Unreachable int `json:"unreachable_count"`
	All         int `json:"replica_count"`

	check *api.HealthCheck
	// started is the least percentage of its share that a starting one has.
	started int64
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
	before, err := d.Counters(ctx, "reason")
	if err != nil {
		return p, err
	}
	began := clock.Now()
	select {
	case <-clock.After(over):
	case <-ctx.Done():
		return p, ctx.Err()
	}
	after, err := d.Counters(ctx, "reason")
	if err != nil {
		return p, err
	}
	p = page{Problems: []problem{}}
	p.count(before, after, clock.Now().Sub(began))
	if err := p.ready(ctx, d); err != nil {
		return p, err
	}
	interfaces, err := d.Interfaces(ctx)
	if err != nil {
		return p, err
	}
	p.Interfaces = interfaces.Interfaces
	services, err := d.Services(ctx)
	if err != nil {
		return p, err
	}
	traffic, err := d.Traffic(ctx)
	if err != nil {
		return p, err
	}
	p.serve(services.Services, traffic.Replicas)
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

// unknown says of a replica that is checked that nothing is known of it.
func (p *page) unknown(service string, r api.ReplicaTraffic) {
	if r.Health != nil && r.Health.Status == "unknown" {
		p.Problems = append(p.Problems, problem{
			fmt.Sprintf("the health of replica %s of %s is not known: %s", r.Address, service, r.Health.Reason),
			"wait for the first check; if that changes nothing, do what the reason says",
		})
	}
}

// serve counts the replicas of all services, and says which get no packets.
func (p *page) serve(services []api.Service, replicas []api.ReplicaTraffic) {
	p.Services = make([]service, 0, len(services))
	at := map[string]int{}
	for n, s := range services {
		at[s.Name] = n
		p.Services = append(p.Services, service{Name: s.Name, VIP: s.VIP, EndPort: s.EndPort, Protocol: s.Protocol, Mode: s.Mode, check: s.Health})
	}
	for _, r := range replicas {
		n, known := at[r.ServiceName]
		if !known {
			continue // it was removed between the two answers
		}
		s := &p.Services[n]
		s.All++
		switch {
		case r.State == lb.Down.String():
			s.Down++
		case r.Reason != "":
			s.Unreachable++
			p.Problems = append(p.Problems, problem{
				fmt.Sprintf("replica %s of %s gets no packets: %s", r.Address, s.Name, r.Reason),
				fmt.Sprintf("give it another address, or remove it: lbctl replica remove %s %s", s.Name, r.Address),
			})
		case r.Health != nil && r.Health.Status == "unhealthy":
			s.Unhealthy++
			p.Problems = append(p.Problems, problem{
				fmt.Sprintf("replica %s of %s is unhealthy since %s: %s", r.Address, s.Name, r.Health.Since.Format(time.RFC3339), r.Health.Reason),
				fmt.Sprintf("mend it; or, if it is not to come back, lbctl replica remove %s %s", s.Name, r.Address),
			})
		case r.State == lb.Draining.String():
			s.Draining++
			p.unknown(s.Name, r)
		default:
			p.unknown(s.Name, r)
			s.Active++
			if r.Health != nil && r.Health.StartingPercent != nil {
				s.Starting++
				if share := *r.Health.StartingPercent; s.Starting == 1 || share < s.started {
					s.started = share
				}
			}
		}
	}
	for _, s := range p.Services {
		switch {
		case s.Active > 0:
		case s.Unhealthy > 0 && s.check != nil && s.check.OnAllUnhealthy == "all":
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
