package ipvs

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
)

// listing is how -L prints.
type listing struct {
	stats, rate bool
	// only is the protocol and VIP of -t or -u, "" for all.
	only string
}

// parseList reads the options of -L.
func parseList(c *cobra.Command, words []string) (l listing, err error) {
	for n := 0; n < len(words); n++ {
		switch w := words[n]; w {
		case "-L", "-l", "--list", "-n", "--numeric", "--exact", "--sort", "--nosort":
		case "--stats":
			l.stats = true
		case "--rate":
			l.rate = true
		case "-t", "-u", "--tcp-service", "--udp-service":
			if n++; n == len(words) {
				return l, cli.Usage(c, "option %s has no value", w)
			}
			l.only = map[byte]string{'t': "tcp ", 'u': "udp "}[strings.TrimLeft(w, "-")[0]] + words[n]
		default:
			return l, cli.Usage(c, "option %.40q cannot be carried over: want -n, --stats, --rate, -t or -u", w)
		}
	}
	if l.stats && l.rate {
		return l, cli.Usage(c, "--stats and --rate: want one of the two")
	}
	return l, nil
}

// reading is what there is, and what was counted.
type reading struct {
	doc      api.Config
	traffic  api.Traffic
	flows    api.Flows
	counters map[string]counts // by protocol, VIP and replica
}

type counts struct{ flows, packets, bytes uint64 }

func list(a *cli.App, c *cobra.Command, d *client.Client, words []string) error {
	l, err := parseList(c, words)
	if err != nil {
		return err
	}
	r, err := read(c.Context(), d)
	if err != nil {
		return err
	}
	if l.only != "" && !r.has(l.only) {
		return cli.NotFound("service", l.only, nil, "list what there is: lbctl ipvsadm -Ln")
	}
	if l.rate {
		began := a.Clock.Now()
		select {
		case <-c.Context().Done():
			return c.Context().Err()
		case <-a.Clock.After(time.Second):
		}
		now, err := read(c.Context(), d)
		if err != nil {
			return err
		}
		now.perSecond(r, a.Clock.Now().Sub(began))
		r = now
	}
	l.print(a.Stdout, r)
	return nil
}

func read(ctx context.Context, d *client.Client) (r reading, err error) {
	if r.doc, _, err = d.Config(ctx); err != nil {
		return r, err
	}
	services, err := d.Services(ctx)
	if err != nil {
		return r, err
	}
	r.doc.Services = services.Services // as they are now
	if r.traffic, err = d.Traffic(ctx); err != nil {
		return r, err
	}
	r.counters = map[string]counts{}
	for _, t := range r.traffic.Replicas {
		service, replica := t.Protocol+" "+t.VIP, t.Protocol+" "+t.VIP+" "+t.Address
		all := r.counters[service]
		r.counters[service] = counts{all.flows + t.NewFlows, all.packets + t.Packets, all.bytes + t.Bytes}
		r.counters[replica] = counts{t.NewFlows, t.Packets, t.Bytes}
	}
	r.flows, err = d.Flows(ctx)
	return r, err
}

func (r *reading) has(only string) bool {
	for _, s := range r.doc.Services {
		if s.Protocol+" "+s.VIP == only {
			return true
		}
	}
	return false
}

// perSecond makes rates of the counters. One that began anew is 0.
func (r *reading) perSecond(before reading, took time.Duration) {
	for name, now := range r.counters {
		was := before.counters[name]
		rate := func(was, now uint64) uint64 { return uint64(float64(now-min(was, now))/took.Seconds() + 0.5) }
		r.counters[name] = counts{rate(was.flows, now.flows), rate(was.packets, now.packets), rate(was.bytes, now.bytes)}
	}
}

// heads are the lines above the services, in ipvsadm's widths.
func (l listing) heads() string {
	switch {
	case l.stats:
		return "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n  -> RemoteAddress:Port\n"
	case l.rate:
		return "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n  -> RemoteAddress:Port\n"
	}
	return "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
}

func (l listing) print(w io.Writer, r reading) {
	fmt.Fprintf(w, "IP Virtual Server version 1.2.1 (size=%d)\n%s", *r.doc.Datapath.Limits.Flows, l.heads())
	flows := map[string]api.ReplicaFlows{}
	for _, s := range r.flows.Services {
		for _, f := range s.Replicas {
			flows[s.Protocol+" "+s.VIP+" "+f.Address] = f.FlowCounts
		}
	}
	for _, s := range r.doc.Services {
		key := s.Protocol + " " + s.VIP
		if l.only != "" && l.only != key {
			continue
		}
		name := fmt.Sprintf("%-4s %s", strings.ToUpper(s.Protocol), cli.Address(s))
		if !l.stats && !l.rate {
			scheduler := "mh"
			if s.Scheduler != lb.Maglev.String() {
				scheduler = s.Scheduler
			}
			fmt.Fprintf(w, "%s %s\n", name, scheduler)
		} else {
			fmt.Fprintf(w, "%-33s%s\n", name, columns(r.counters[key]))
		}
		for _, replica := range s.Replicas {
			key := key + " " + replica.Address
			if l.stats || l.rate {
				fmt.Fprintf(w, "  -> %-28s%s\n", replica.Address, columns(r.counters[key]))
				continue
			}
			weight := *replica.Weight
			if replica.State != lb.Active.String() {
				weight = 0
			}
			method := map[string]string{"nat": "Masq", "dsr": "Route", "ipip": "Tunnel"}[s.Mode]
			fmt.Fprintf(w, "  -> %-28s %-7s %-6d %-10d %-10d\n", replica.Address, method, weight, flows[key].Established, flows[key].HalfOpen)
		}
	}
}

// columns are Conns, InPkts, OutPkts, InBytes and OutBytes, or the rates of them: those of the way to the replica are counted.
func columns(n counts) string {
	return fmt.Sprintf("%9s%9s%9s%9s%9s", large(n.flows), large(n.packets), "-", large(n.bytes), "-")
}

// large writes a number as ipvsadm does: from a hundred million on in thousands, and so on.
func large(n uint64) string {
	for _, unit := range []string{"", "K", "M", "G", "T"} {
		if n < 100_000_000 {
			return fmt.Sprint(n) + unit
		}
		n /= 1000
	}
	return fmt.Sprint(n) + "P"
}
