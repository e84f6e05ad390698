package balance

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lbctl/cmd/balance/explain"
	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/rss"
	"lbctl/rss/ingress"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/rss/replay"
	"lbctl/rss/replay/pcap"
	"lbctl/testbed/report"
)

// explainCapture prints a line about every packet of a capture, and a summary.
func explainCapture(a *cli.App, c *cobra.Command, d *client.Client, f *explainFlag, o cli.Format) error {
	queue, err := f.queues(a, c)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(a.Stdout)
	x := &explain.Capture{
		Interface: f.iface, Queue: queue,
		Ask: func(probes []api.Probe) ([]api.Explanation, error) {
			answer, err := d.ExplainBatch(c.Context(), api.Probes{Probes: probes, Brief: true})
			return answer.Explanations, err
		},
		Packets: func(packets []explain.Packet) error {
			for _, p := range packets {
				if err := printPacket(out, o, p, queue != nil); err != nil {
					return err
				}
			}
			return out.Flush()
		},
	}
	return a.ReadCapture(f.file, false, func(capture *pcap.Reader) (replay.File, error) {
		summary, file, err := x.Read(capture)
		if err != nil {
			return file, err
		}
		return file, printSummary(a.Stdout, o, summary)
	})
}

// queues returns a function that names the receive queue of a frame, nil if the flags do not ask for it.
func (f *explainFlag) queues(a *cli.App, c *cobra.Command) (func([]byte, *packet.Headers, error) *rss.Queue, error) {
	if f.iface != "" {
		i := ingress.New(a.NICs.Read, "/", f.iface)
		return func(frame []byte, h *packet.Headers, err error) *rss.Queue {
			return i.Of(func(n *nic.NIC) nic.Result { return n.ClassifyHeaders(frame, h, err) }).Queue
		}, nil
	}
	if f.nic.Queues == 0 {
		return nil, nil
	}
	n, err := f.nic.NIC()
	if err != nil {
		return nil, cli.SetupFailure(c, err)
	}
	return func(frame []byte, h *packet.Headers, err error) *rss.Queue {
		r := n.ClassifyHeaders(frame, h, err)
		if r.Unhashed == nic.Cut {
			return nil
		}
		return &r.Queue
	}, nil
}

// printPacket prints a line about a packet.
func printPacket(w io.Writer, o cli.Format, p explain.Packet, queues bool) error {
	if o == cli.FormatJSON {
		return cli.JSONLines(w).Encode(p)
	}
	e := p.Explanation
	flow, service := "-", "-"
	if e.Flow != nil {
		flow = cli.FlowText(*e.Flow)
	}
	if e.Service != nil {
		service = cmp.Or(e.Service.Name, e.Service.VIP)
	}
	queue := ""
	if queues {
		queue = "q?  "
		if p.Queue != nil {
			queue = fmt.Sprintf("%-4s", fmt.Sprintf("q%d", *p.Queue))
		}
	}
	_, err := fmt.Fprintf(w, "%-27s  %s%-44s  %-16s  %-10s  %-20s  %s\n",
		cmp.Or(p.Time, "-"), queue, flow, p.Reason(), service, cmp.Or(e.Replica, "-"), cmp.Or(e.Choice, e.Error, "-"))
	return err
}

// printSummary prints how many packets had which reason.
func printSummary(to io.Writer, o cli.Format, s explain.Summary) error {
	if o == cli.FormatJSON {
		return cli.JSONLines(to).Encode(struct {
			Summary explain.Summary `json:"summary"`
		}{s})
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w)
	cli.Row(w, "REASON", "PACKETS", "SHARE")
	for _, r := range s.Reasons {
		cli.Row(w, r.Reason, report.Cell(r.Packets), cli.Percent(r.Share)+" %")
	}
	cli.Row(w, "all", report.Cell(s.Packets), "100.0 %")
	if n := s.Cut - s.Unpredicted; n > 0 {
		fmt.Fprintf(w, "%s captured in part: zeros stand for what is missing behind the headers\n", cli.Many(int(n), "packet"))
	}
	if s.Unpredicted > 0 {
		fmt.Fprintf(w, "%s cut in the headers: not predictable (capture with tcpdump -s 128)\n", cli.Many(int(s.Unpredicted), "packet"))
	}
	return w.Flush()
}
