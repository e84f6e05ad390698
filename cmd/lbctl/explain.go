package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lbctl/control/api"
	"lbctl/control/client"
)

// explanation is the daemon's answer and, where a NIC was described, the queue before it.
type explanation struct {
	api.Explanation
	RSS *rssAnswer `json:"rss,omitempty"`
}

func explainCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "explain --src ADDRESS:PORT --dst VIP:PORT",
		Short: "Print the way of a packet that is not sent",
		Long: `Print the way that a packet would take now: hash, slot, replica, rewrite and next hop, or
the reason why not. The live tables are asked; nothing is changed. With --queues the receive
queue of a NIC is added, computed by the model of lbctl rss hash.`,
		Example: `  lbctl explain --src 198.51.100.7:40000 --dst 192.0.2.1:80
  lbctl explain --src "[2001:db8::7]:40000" --dst "[2001:db8::1]:443" --protocol udp
  lbctl explain --src 198.51.100.7:40000 --dst 192.0.2.1:80 --flags syn --queues 4 -o json`,
		Args: takes(),
	}
	var p api.Probe
	flow := flowFlags(c)
	c.Flags().StringSliceVar(&p.Flags, "flags", nil, "TCP flags of the packet: syn")
	nic := nicFlags(c, 0)
	f := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		p.Source, p.Destination, p.Protocol = flow.source, flow.destination, flow.protocol
		if _, err := flow.parse(c, p.Flags); err != nil {
			return err
		}
		e := explanation{}
		if nic.queues > 0 {
			answer, err := nic.hash(c, flow)
			if err != nil {
				return err
			}
			e.RSS = &answer
		}
		d := client.New(a.socket)
		defer d.Close()
		var err error
		if e.Explanation, err = d.Explain(c.Context(), p); err != nil {
			return err
		}
		return a.print(*f, e, func(w io.Writer) { printExplanation(w, e) })
	}
	return c
}

func printExplanation(w io.Writer, e explanation) {
	row(w, "flow", flowText(e.Flow))
	if r := e.RSS; r != nil {
		row(w, "queue", fmt.Sprintf("%d (rss hash %s, entry %d)", r.Queue, r.Hash, r.Index))
	}
	row(w, "reason", e.Reason)
	if s := e.Service; s != nil {
		row(w, "service", fmt.Sprintf("%s (%s, %s, %s, %s)", s.Name, s.Mode, s.Scheduler, s.Hash, many(len(s.Replicas), "replica")))
	}
	if e.Slot != nil {
		row(w, "hash", e.Hash)
		row(w, "slot", fmt.Sprintf("%d (owner %s, of older flows %s)", *e.Slot, e.Current, e.Base))
	}
	if e.Replica != "" {
		row(w, "replica", e.Replica)
	}
	if e.Rewritten != nil {
		row(w, "rewritten", flowText(*e.Rewritten))
	}
	if h := e.NextHop; h != nil {
		row(w, "next hop", fmt.Sprintf("%s, from %s to %s", h.Interface, h.SourceMAC, h.DestinationMAC))
	}
}

func flowText(f api.Flow) string {
	return fmt.Sprintf("%s %s > %s", f.Protocol, f.Source, f.Destination)
}
