// Package describe has the command that tells all of one thing on a page.
package describe

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
)

// Command describes a service, a replica, a pool or an interface.
func Command(a *cli.App) *cobra.Command {
	return cli.Noun(&cobra.Command{
		Use:   "describe",
		Short: "Tell all of one service, replica, pool or interface on a page",
		Long: `Tell all of one thing on a page, for people: what is declared, what is set by hand, its conditions, health, shares, rates, and what
happened lately. What scripts read is in lbctl get.`,
		Example: `  lbctl describe service web
  lbctl describe replica web 10.1.0.1:8080
  lbctl describe pool backends
  lbctl describe interface eth0`,
	}, describeService(a), describeReplica(a), describePool(a), describeInterface(a))
}

// lastEvents is how many events a page has.
const lastEvents = 10

// flags are those of commands that count.
type flags struct{ over time.Duration }

func (f *flags) add(c *cobra.Command) {
	c.Flags().DurationVar(&f.over, "over", time.Second, "the time over which packets are counted, from 10ms to 1h")
}

func (f *flags) check(c *cobra.Command) error {
	if f.over < 10*time.Millisecond || f.over > time.Hour {
		return cli.Usage(c, "--over: %v is out of range: want 10ms to 1h", f.over)
	}
	return nil
}

// page is what a description is made of.
type page struct {
	// rates are by address; packets is their sum.
	rates   map[string]rate
	packets float64
	traffic []api.ReplicaTraffic
	// weights is the sum of those of replicas that new flows go to; disregarded is true where that is whatever their health is.
	weights     float64
	disregarded bool
	flows       map[string]api.ReplicaStatus
	transition  uint32
	slots       uint32
	events      []api.Event
}

// gather asks for what describes a service and its replicas.
func gather(ctx context.Context, a *cli.App, d *client.Client, of api.Service, over time.Duration, wanted func(api.Event) bool) (p page, err error) {
	service := of.Name
	began := a.Clock.Now() // the daemon counts first of all
	before, err := d.Traffic(ctx, service)
	if err != nil {
		return p, err
	}
	select {
	case <-ctx.Done():
		return p, ctx.Err()
	case <-a.Clock.After(over):
	}
	took := a.Clock.Now().Sub(began)
	all, err := d.TrafficWithHops(ctx, service)
	if err != nil {
		return p, err
	}
	p.traffic, p.rates = all.Replicas, rates(before, all, took)
	p.disregarded = of.Health != nil && of.Health.OnAllUnhealthy == "all"
	for _, r := range p.traffic {
		p.packets += p.rates[r.Address].packets
		p.disregarded = p.disregarded && (r.State != "active" || ill(r))
	}
	for _, r := range p.traffic {
		p.weights += p.takes(r)
	}
	flows, err := d.Flows(ctx, service)
	if err != nil {
		return p, err
	}
	p.flows = map[string]api.ReplicaStatus{}
	for _, s := range flows.Services {
		p.transition, p.slots = s.SlotsInTransition, s.Slots
		for _, r := range s.Replicas {
			p.flows[r.Address] = r
		}
	}
	p.events, err = events(ctx, d, service, wanted)
	return p, err
}

// events are the last of those that are wanted, of a service or of all.
func events(ctx context.Context, d *client.Client, service string, wanted func(api.Event) bool) (last []api.Event, err error) {
	for e, err := range d.Events(ctx, client.Wanted{Service: service}) {
		if err != nil {
			return last, err
		}
		if wanted(e) {
			last = append(last, e)
			last = last[max(0, len(last)-lastEvents):]
		}
	}
	return last, nil
}

// rate is how many packets a second a replica got, and bytes.
type rate struct{ packets, bytes float64 }

// rates are those of the replicas of a service, by address, between two counts.
func rates(before, after api.Traffic, took time.Duration) map[string]rate {
	had, all := map[string]api.ReplicaTraffic{}, map[string]rate{}
	for _, r := range before.Replicas {
		had[r.Address] = r
	}
	for _, r := range after.Replicas {
		was := had[r.Address]
		if r.Packets < was.Packets || took <= 0 {
			continue // it began anew
		}
		all[r.Address] = rate{float64(r.Packets-was.Packets) / took.Seconds(), float64(r.Bytes-was.Bytes) / took.Seconds()}
	}
	return all
}

// shares are what a replica should get of new flows by its weight, and what it got of the packets just now.
func (p page) shares(r api.ReplicaTraffic) (wanted, got string) {
	if wanted = cli.Percent(0); p.weights > 0 {
		wanted = cli.Percent(p.takes(r) / p.weights)
	}
	if p.packets == 0 {
		return wanted + " %", "-"
	}
	return wanted + " %", cli.Percent(p.rates[r.Address].packets/p.packets) + " %"
}

// takes is the weight with which new flows go to a replica, 0 if none do. Health counts for nothing where it is disregarded.
func (p page) takes(r api.ReplicaTraffic) float64 {
	switch h := r.Health; {
	case r.State != "active" || ill(r) && !p.disregarded:
		return 0
	case h != nil && h.StartingPercent != nil && !p.disregarded:
		return weight(r.Replica) * float64(*h.StartingPercent) / 100
	}
	return weight(r.Replica)
}

func ill(r api.ReplicaTraffic) bool { return r.Health != nil && r.Health.Status == "unhealthy" }

func weight(r api.Replica) float64 {
	if r.Weight == nil {
		return 1
	}
	return float64(*r.Weight)
}

// field prints a line "Name:  value"; nothing of an empty value.
func field(w io.Writer, name string, value any) {
	if text := fmt.Sprint(value); text != "" {
		fmt.Fprintf(w, "%s:\t%s\n", name, cli.OneLine(text))
	}
}

// printEvents prints what happened lately.
func printEvents(w io.Writer, all []api.Event) {
	if len(all) == 0 {
		fmt.Fprintln(w, "Events:\tnone that are kept")
		return
	}
	fmt.Fprintln(w, "Events:")
	for _, e := range all {
		change := ""
		if e.Before != "" || e.After != "" {
			change = cli.SideText(e.Before) + " > " + cli.SideText(e.After)
		}
		cli.Row(w, "  "+e.Time, e.Kind, e.Replica+e.Interface, change, cli.OneLine(e.Reason))
	}
}
