package nic

import (
	"fmt"
	"io"
	"strings"

	"lbctl/cmd/cli"
	"lbctl/rss/ports"
)

// fewRanges is how many ranges of ports are printed for a reader.
const fewRanges = 12

// show prints the ports, if some were asked for, and how many each queue has.
func (p *portsAnswer) show(w io.Writer, asked bool) {
	tried := int(p.Range[1]) - int(p.Range[0]) + 1
	if asked {
		var some []string
		for _, r := range p.Ports[:min(fewRanges, len(p.Ports))] {
			some = append(some, ports.Range{First: r[0], Last: r[1]}.String())
		}
		if len(p.Ports) > fewRanges {
			some = append(some, "... (-o json has all)")
		}
		cli.Row(w, "ports", strings.Join(some, " "))
		cli.Row(w, "count", fmt.Sprintf("%d of %d", p.Count, tried))
		fmt.Fprintln(w)
	}
	showQueuePorts(w, "QUEUE", p.Queues)
	if p.ReplyQueues != nil {
		fmt.Fprintln(w)
		showQueuePorts(w, "REPLY QUEUE", p.ReplyQueues)
	}
}

func showQueuePorts(w io.Writer, head string, queues []queuePorts) {
	cli.Row(w, head, "PORTS", "WANTED")
	for _, q := range queues {
		cli.Row(w, q.Queue, q.Ports, map[bool]string{true: "yes", false: ""}[q.Wanted])
	}
}
