package describe

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/wire"
)

func describeService(a *cli.App) *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:     "service NAME",
		Aliases: []string{"services"},
		Short:   "Tell all of one service",
		Long: `Tell all of one service: what is declared, its conditions, its check, its replicas with their share of new flows by weight and
that of the packets of the last second (--over), and the last events.`,
		Example: "  lbctl describe service web",
		Args:    cli.Takes("NAME"),
	}
	f.add(c)
	a.Complete(c, cli.Services)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.check(c); err != nil {
			return err
		}
		d := a.Client()
		defer d.Close()
		s, err := d.Service(c.Context(), args[0])
		if err != nil {
			return err
		}
		state, err := d.ServiceConditions(c.Context(), args[0])
		if err != nil {
			return err
		}
		p, err := gather(c.Context(), a, d, s.Service, f.over, func(api.Event) bool { return true })
		if err != nil {
			return err
		}
		return a.Print(cli.FormatTable, nil, func(w io.Writer) { printService(w, wire.Hide(s.Service), state, p) })
	}
	return c
}

func printService(w io.Writer, s api.Service, state api.ServiceConditions, p page) {
	field(w, "Name", s.Name)
	field(w, "VIP", s.Protocol+" "+cli.Address(s))
	field(w, "Pool", s.Pool)
	field(w, "Mode", s.Mode)
	field(w, "Scheduler", fmt.Sprintf("%s, by %s", s.Scheduler, s.Hash))
	field(w, "Tracking", fmt.Sprintf("%s, a flow is remembered for %s", s.Tracking, s.Idle))
	field(w, "Slots", fmt.Sprintf("%d, %d in transition", p.slots, p.transition))
	field(w, "Source ranges", strings.Join(s.SourceRanges, ", "))
	if h := s.Health; h != nil {
		field(w, "Check", checkText(*h))
	}
	fmt.Fprintln(w, "Conditions:")
	cli.Row(w, "  TYPE", "STATUS", "SINCE", "REASON", "MESSAGE")
	for _, c := range state.Conditions {
		cli.Row(w, "  "+c.Type, c.Status, sinceText(c), c.Reason, cli.OneLine(c.Message))
	}
	fmt.Fprintln(w, "Replicas:")
	cli.Row(w, "  ADDRESS", "STATE", "HEALTH", "WEIGHT", "WANTED", "GOT", "PACKETS/S", "FLOWS", "BY HAND", "REASON")
	for _, r := range p.traffic {
		wanted, got := p.shares(r)
		cli.Row(w, "  "+r.Address, r.State, cli.HealthText(r.Health), weight(r.Replica), wanted, got, fmt.Sprintf("%.0f", p.rates[r.Address].packets), flowsText(p.flows[r.Address]), cli.HandText(r.ByHand), cli.OneLine(cli.ReasonText(r)))
	}
	printEvents(w, p.events)
}

func sinceText(c api.Condition) string {
	if c.Since == nil {
		return ""
	}
	return c.Since.Format(time.RFC3339)
}

// checkText says what a check does.
func checkText(h api.HealthCheck) string {
	text := h.Type
	for _, more := range append([]string{h.Host, h.Path, h.Send}, h.Command...) {
		if more != "" {
			text += " " + more
		}
	}
	if h.Interval != "" {
		text += fmt.Sprintf(", every %s, for at most %s", h.Interval, h.Timeout)
	}
	if p := h.Passive; p != nil {
		text += fmt.Sprintf("; out at %d %% %s of %d new flows", *p.Percent, p.Counts, *p.NewFlows)
	}
	return text
}

// flowsText is the number of recorded flows, with a + if there may be more.
func flowsText(r api.ReplicaStatus) string {
	text := fmt.Sprint(r.FlowCounts.Established + r.FlowCounts.HalfOpen)
	if r.FlowCounts.AtLeast {
		text += "+"
	}
	return text
}
