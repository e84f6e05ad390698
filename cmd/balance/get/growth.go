package get

import (
	"context"
	"fmt"
	"time"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/show"
	"lbctl/control/api"
	"lbctl/control/client"
)

// growth is what was counted in a span of time; scripts rely on its names. What was not counted is left out of the lists.
type growth struct {
	Seconds float64 `json:"seconds"`
	countRate
	Reasons  []reasonGrowth  `json:"reasons"`
	Services []serviceGrowth `json:"services"`
	Replicas []replicaGrowth `json:"replicas"`
	Losses   []lossGrowth    `json:"losses"`
}

// countRate is a difference of counts, and what it is a second.
type countRate struct {
	Packets          uint64  `json:"packets"`
	Bytes            uint64  `json:"bytes"`
	PacketsPerSecond float64 `json:"packets_per_second"`
	BytesPerSecond   float64 `json:"bytes_per_second"`
}

type reasonGrowth struct {
	Reason  string `json:"reason"`
	Dropped bool   `json:"is_dropped"`
	countRate
}

type serviceGrowth struct {
	Name string `json:"name"`
	countRate
}

type replicaGrowth struct {
	ServiceName string `json:"service_name"`
	Replica     string `json:"replica"`
	countRate
}

type lossGrowth struct {
	Interface        string  `json:"interface"`
	Cause            string  `json:"cause"`
	Packets          uint64  `json:"packets"`
	PacketsPerSecond float64 `json:"packets_per_second"`
}

// grow counts for a span, and returns what is different.
func grow(ctx context.Context, d *client.Client, clock cli.Clock, span time.Duration) (g growth, err error) {
	began := clock.Now() // the daemon counts first of all
	before, err := d.Counters(ctx)
	if err != nil {
		return g, err
	}
	select {
	case <-ctx.Done():
		return g, ctx.Err()
	case <-clock.After(span):
	}
	took := clock.Now().Sub(began)
	after, err := d.Counters(ctx)
	if err != nil {
		return g, err
	}
	return growthOf(before, after, took), nil
}

func growthOf(before, after api.Counters, took time.Duration) growth {
	s := took.Seconds()
	g := growth{Seconds: s, countRate: rated(count{before.Packets, before.Bytes}, count{after.Packets, after.Bytes}, s)}
	had := map[string]count{}
	for _, r := range before.Reasons {
		had["reason "+r.Reason] = count{r.Packets, r.Bytes}
	}
	for _, r := range before.Services {
		had["service "+r.Protocol+r.VIP] = count{r.Packets, r.Bytes}
	}
	for _, r := range before.Replicas {
		had["replica "+r.Protocol+r.VIP+" "+r.Replica] = count{r.Packets, r.Bytes}
	}
	for _, l := range before.Losses {
		had["loss "+l.Interface+" "+l.Cause] = count{l.Packets, 0}
	}
	for _, r := range after.Reasons {
		if n := rated(had["reason "+r.Reason], count{r.Packets, r.Bytes}, s); n.Packets > 0 {
			g.Reasons = append(g.Reasons, reasonGrowth{r.Reason, r.Dropped, n})
		}
	}
	for _, r := range after.Services {
		if n := rated(had["service "+r.Protocol+r.VIP], count{r.Packets, r.Bytes}, s); n.Packets > 0 {
			g.Services = append(g.Services, serviceGrowth{r.Name, n})
		}
	}
	for _, r := range after.Replicas {
		if n := rated(had["replica "+r.Protocol+r.VIP+" "+r.Replica], count{r.Packets, r.Bytes}, s); n.Packets > 0 {
			g.Replicas = append(g.Replicas, replicaGrowth{r.ServiceName, r.Replica, n})
		}
	}
	for _, l := range after.Losses {
		if n := rated(had["loss "+l.Interface+" "+l.Cause], count{l.Packets, 0}, s); n.Packets > 0 {
			g.Losses = append(g.Losses, lossGrowth{l.Interface, l.Cause, n.Packets, n.PacketsPerSecond})
		}
	}
	return g
}

type count struct{ packets, bytes uint64 }

// rated is the difference of two counts. A counter that is less than before began anew: then it is 0.
func rated(was, is count, seconds float64) (r countRate) {
	r.Packets, r.Bytes = is.packets-min(was.packets, is.packets), is.bytes-min(was.bytes, is.bytes)
	if seconds > 0 {
		r.PacketsPerSecond, r.BytesPerSecond = float64(r.Packets)/seconds, float64(r.Bytes)/seconds
	}
	return r
}

// tables are the reasons and the losses that grew; with -o wide the services and replicas, too.
func (g growth) tables(wide bool) []show.Table {
	per := func(rate float64) show.Ranked { return show.Ranked{Text: fmt.Sprintf("%.1f", rate), Rank: rate} }
	cells := func(n countRate) []any {
		return []any{n.Packets, n.Bytes, per(n.PacketsPerSecond), per(n.BytesPerSecond)}
	}
	reasons := show.Table{Columns: []string{"REASON", "PACKETS", "BYTES", "PACKETS/S", "BYTES/S", "DROPPED"}}
	for _, r := range g.Reasons {
		reasons.Add("counter/"+r.Reason, append(append([]any{r.Reason}, cells(r.countRate)...), cli.YesNo(r.Dropped))...)
	}
	reasons.Add("counter/all", append(append([]any{"all"}, cells(g.countRate)...), "")...)
	lost := show.Table{Columns: []string{"LOST ON", "CAUSE", "PACKETS", "PACKETS/S"}}
	for _, l := range g.Losses {
		lost.Add("loss/"+l.Interface+"/"+l.Cause, l.Interface, l.Cause, l.Packets, per(l.PacketsPerSecond))
	}
	if !wide {
		return []show.Table{reasons, lost}
	}
	services := show.Table{Columns: []string{"SERVICE", "PACKETS", "BYTES", "PACKETS/S", "BYTES/S"}}
	for _, r := range g.Services {
		services.Add("service/"+r.Name, append([]any{r.Name}, cells(r.countRate)...)...)
	}
	replicas := show.Table{Columns: []string{"SERVICE", "REPLICA", "PACKETS", "BYTES", "PACKETS/S", "BYTES/S"}}
	for _, r := range g.Replicas {
		replicas.Add("replica/"+r.ServiceName+"/"+r.Replica, append([]any{r.ServiceName, r.Replica}, cells(r.countRate)...)...)
	}
	return []show.Table{reasons, lost, services, replicas}
}
