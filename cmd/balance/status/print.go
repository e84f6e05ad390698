package status

import (
	"fmt"
	"io"
	"strings"

	"lbctl/cmd/cli"
)

// print prints the page: what is wrong comes first.
func (p page) print(w io.Writer) {
	verdict := "all that is wanted is so"
	if !p.Good {
		verdict = cli.Many(len(p.Problems), "problem")
	}
	fmt.Fprintf(w, "revision %d: %s\n", p.Revision, verdict)
	for _, x := range p.Problems {
		fmt.Fprintf(w, "  %s\n    %s\n", cli.OneLine(x.Reason), cli.OneLine(x.Hint))
	}
	if len(p.Interfaces) > 0 {
		cli.Row(w, "\nINTERFACE", "STATE", "MODE", "REQUESTED")
	} else {
		fmt.Fprintln(w, "\nno interface is wanted: lbctl attach IFACE")
	}
	for _, i := range p.Interfaces {
		cli.Row(w, i.Name, i.State, i.Mode, i.RequestedMode)
	}
	if len(p.Services) > 0 {
		cli.Row(w, "\nSERVICE", "VIP", "PROTOCOL", "MODE", "ACTIVE", "OTHERS")
	}
	for _, s := range p.Services {
		cli.Row(w, s.Name, cli.Ranged(s.VIP, s.EndPort), s.Protocol, s.Mode, fmt.Sprintf("%d of %d", s.Active, s.All), s.others())
	}
	if len(p.Drops)+len(p.Losses) > 0 {
		cli.Row(w, "\nDROPPED NOW", "PACKETS/S")
	}
	for _, d := range p.Drops {
		cli.Row(w, d.Reason, perSecond(d.Rate))
	}
	for _, l := range p.Losses {
		cli.Row(w, fmt.Sprintf("lost on %s (%s)", l.Interface, l.Cause), perSecond(l.Rate))
	}
}

// others says what the replicas are that are not active.
func (s service) others() string {
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	if s.Started != nil {
		add(s.Starting, fmt.Sprintf("starting (%d %%)", *s.Started))
	}
	add(s.Draining, "draining")
	add(s.Down, "down")
	add(s.Unhealthy, "unhealthy")
	add(s.Unreachable, "unreachable")
	return strings.Join(parts, ", ")
}

func perSecond(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}
