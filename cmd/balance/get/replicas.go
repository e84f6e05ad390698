package get

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/show"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
)

// replicaLines are the replicas.
type replicaLines struct {
	api.Traffic
	// sent is what was sent to each replica, and records what is recorded of its flows, for wide tables.
	sent    map[replicaKey]sent
	records map[replicaKey]api.ReplicaFlows
}

type replicaKey struct{ service, address string }

// sent is what is sent to a replica, per second.
type sent struct{ packets, bytes, flows, resets float64 }

func getReplicas(a *cli.App) *cobra.Command {
	q := &replicaQuestion{clock: a.Clock}
	c := listing[replicaLines]{
		command: cobra.Command{
			Use: "replicas [NAME]", Aliases: []string{"replica"}, Short: "Print the replicas and what was sent to them; NAME is a service",
			Long: `Print the replicas and what was sent to them since the tables were made; NAME is a service. Of replicas that
drain also how many packets a second come to them now, as far as that is known. STATE is what the operator gave
a replica, by the configuration or, as BY HAND says, over it; HEALTH what checks have found: an unhealthy one gets nothing. REASON says why no packet gets to one, or why it
is not known to be healthy.

-o wide counts for a second (--over) what is sent to each, and adds the recorded flows and the next hop with the kernel's
state of that neighbour. NEW/S are packets that begin a flow: in TCP each SYN; in UDP, with tracking always, those whose flow was
not recorded. RESETS/S are answers with RST, in mode nat. Flows in settled slots are not recorded (a +: there may be more). Other
answers are not counted by replica: those of all together are the counter "returned".`,
			Example: "  lbctl get replicas\n  lbctl get replicas web -o wide\n  lbctl get replicas web -o json",
		},
		kind: "service", list: "get services", path: "/v1/replicas?next_hops=true",
		ask: q.ask, names: cli.Services,
		tables: replicaTable,
		flags:  func(f *show.Flags) { q.flags = f },
	}.make(a)
	c.Flags().DurationVar(&q.over, "over", time.Second, "the time over which -o wide counts, from 10ms to 1h")
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if q.over < 10*time.Millisecond || q.over > time.Hour {
			return cli.Usage(c, "--over: %v is out of range: want 10ms to 1h", q.over)
		}
		return run(c, args)
	}
	return c
}

func replicaTable(v replicaLines, _ string) []show.Table {
	t := show.Table{
		Columns: []string{"SERVICE", "REPLICA", "STATE", "HEALTH", "WEIGHT", "PACKETS", "BYTES", "PACKETS/S", "BY HAND", "REASON",
			"BYTES/S", "NEW/S", "RESETS/S", "FLOWS", "HALF-OPEN", "NEXT HOP", "MAC", "NEIGHBOUR", "MTU"},
		Narrow: 10,
	}
	for _, r := range v.Replicas {
		key := replicaKey{r.ServiceName, r.Address}
		rate, records := v.sent[key], v.records[key]
		packets := rateCell(r)
		if v.sent != nil {
			packets = perSecond(rate.packets)
		}
		hop, mac, neighbour, mtu := hopCells(r.NextHop)
		t.Add("replica/"+r.ServiceName+"/"+r.Address, r.ServiceName, r.Address, r.State, cli.HealthText(r.Health), *r.Weight, r.Packets, r.Bytes, packets, cli.HandText(r.ByHand), cli.ReasonText(r),
			perSecond(rate.bytes), perSecond(rate.flows), perSecond(rate.resets), establishedCell(records), records.HalfOpen, hop, mac, neighbour, mtu)
	}
	return []show.Table{t}
}

func perSecond(rate float64) show.Ranked {
	return show.Ranked{Text: fmt.Sprintf("%.0f", rate), Rank: rate}
}

func hopCells(h *api.ReplicaHop) (hop, mac, neighbour string, mtu any) {
	if h == nil {
		return "no route", "", "", ""
	}
	if neighbour = h.NeighbourState; neighbour == "" {
		neighbour = "none"
	}
	return fmt.Sprintf("%s on %s", h.Neighbour, h.Interface), h.DestinationMAC, neighbour, h.MTU
}

// rateCell is how many packets a second come to a replica: a rate is of interest while it drains.
func rateCell(r api.ReplicaTraffic) show.Ranked {
	switch {
	case r.Rate.Known:
		return show.Ranked{Text: fmt.Sprintf("%.0f", r.Rate.PacketsPerSecond), Rank: r.Rate.PacketsPerSecond}
	case r.State == lb.Draining.String():
		return show.Ranked{Text: "unknown", Rank: -1}
	}
	return show.Ranked{Rank: -2}
}

// replicaQuestion is what a command asks about replicas.
type replicaQuestion struct {
	clock cli.Clock
	flags *show.Flags
	over  time.Duration
}

// ask asks for what the format prints.
func (q *replicaQuestion) ask(ctx context.Context, d *client.Client, one string) (lines replicaLines, err error) {
	switch q.flags.Format {
	case show.FormatWide:
		err = q.measure(ctx, d, &lines, named(one))
	case cli.FormatTable, show.FormatName:
		lines.Traffic, err = d.Traffic(ctx, named(one)...)
	default:
		lines.Traffic, err = d.TrafficWithHops(ctx, named(one)...)
	}
	return lines, err
}

// named are the services that are asked for: one, or all.
func named(one string) []string {
	if one == "" {
		return nil
	}
	return []string{one}
}

// measure asks twice, and for the records of flows.
func (q *replicaQuestion) measure(ctx context.Context, d *client.Client, lines *replicaLines, of []string) error {
	began := q.clock.Now() // the daemon counts first of all; an answer that lists more takes longer than the one before
	before, err := d.Traffic(ctx, of...)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-q.clock.After(q.over):
	}
	took := q.clock.Now().Sub(began)
	if lines.Traffic, err = d.TrafficWithHops(ctx, of...); err != nil {
		return err
	}
	lines.sent = ratesOf(before, lines.Traffic, took)
	flows, err := d.Flows(ctx, of...)
	lines.records = map[replicaKey]api.ReplicaFlows{}
	for _, s := range flows.Services {
		for _, r := range s.Replicas {
			lines.records[replicaKey{s.Name, r.Address}] = r.FlowCounts
		}
	}
	return err
}

// ratesOf returns what was sent to each replica between two answers. Of one that is new, or whose counters began anew, it is 0.
func ratesOf(before, after api.Traffic, took time.Duration) map[replicaKey]sent {
	had := map[replicaKey]api.ReplicaTraffic{}
	for _, r := range before.Replicas {
		had[replicaKey{r.ServiceName, r.Address}] = r
	}
	rates := map[replicaKey]sent{}
	for _, r := range after.Replicas {
		key := replicaKey{r.ServiceName, r.Address}
		if was, known := had[key]; known && r.Packets >= was.Packets && took > 0 {
			per := func(was, is uint64) float64 { return float64(is-min(was, is)) / took.Seconds() }
			rates[key] = sent{per(was.Packets, r.Packets), per(was.Bytes, r.Bytes), per(was.NewFlows, r.NewFlows), per(was.Resets, r.Resets)}
		}
	}
	return rates
}
