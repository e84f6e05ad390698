package balance

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/rss/nic"
	"lbctl/rss/replay"
	"lbctl/rss/replay/pcap"
	"lbctl/testbed/report"
)

// explainedPacket is a line about one packet of a capture; scripts rely on its names.
type explainedPacket struct {
	Number uint64 `json:"number"`
	Time   string `json:"time,omitempty"`
	Bytes  int    `json:"bytes"`
	// Queue is left out where it is not known or was not asked for.
	Queue       *int            `json:"queue,omitempty"`
	Explanation api.Explanation `json:"explanation"`
}

// captureSummary is the last line about a capture.
type captureSummary struct {
	Summary struct {
		Packets uint64 `json:"packets"`
		// Cut were captured in part; what is missing was taken for zeros.
		Cut     uint64           `json:"cut"`
		Reasons []reasonOfPacket `json:"reasons"`
	} `json:"summary"`
}

type reasonOfPacket struct {
	Reason  string  `json:"reason"`
	Packets uint64  `json:"packets"`
	Share   float64 `json:"share"`
}

// explainBatch is how many packets the daemon is asked about at once.
const explainBatch = 1000

// captureExplainer explains a capture.
type captureExplainer struct {
	client  *client.Client
	ingress string
	// queue is nil where the queue is not asked for.
	queue  func(frame []byte) *int
	out    *bufio.Writer
	format cli.Format
	// waiting are packets of which the daemon has not been asked, probes their frames.
	waiting []explainedPacket
	probes  []api.Probe
	packets uint64
	cut     uint64
	reasons map[string]uint64
}

// explainCapture explains every packet of a capture.
func explainCapture(a *cli.App, c *cobra.Command, d *client.Client, f *explainFlag, o cli.Format) error {
	queue, err := f.queues(c)
	if err != nil {
		return err
	}
	x := &captureExplainer{
		client: d, ingress: f.ingress, queue: queue, out: bufio.NewWriter(a.Stdout), format: o, reasons: map[string]uint64{},
	}
	err = a.ReadCapture(f.file, false, func(capture *pcap.Reader) (replay.File, error) { return x.run(c, capture) })
	if flushed := x.out.Flush(); err == nil {
		err = flushed
	}
	return err
}

// queues returns what names the receive queue of a frame, nil when nobody asks.
func (f *explainFlag) queues(c *cobra.Command) (func([]byte) *int, error) {
	if f.ingress != "" {
		i := newIngress(f.nics, f.machine, f.ingress)
		return func(frame []byte) *int {
			return number(i.answer(func(n *nic.NIC) nic.Result { return n.Classify(frame) }).Queue)
		}, nil
	}
	if f.nic.Queues == 0 {
		return nil, nil
	}
	n, err := f.nic.NIC()
	if err != nil {
		return nil, cli.SetupFailure(c, err)
	}
	return func(frame []byte) *int { q := n.Classify(frame).Queue; return number(&q) }, nil
}

func number[Q ~uint16](q *Q) *int {
	if q == nil {
		return nil
	}
	n := int(*q)
	return &n
}

// run explains all packets. A capture that is cut short gives what it holds.
func (x *captureExplainer) run(c *cobra.Command, capture *pcap.Reader) (replay.File, error) {
	file := replay.File{Format: capture.Format()}
	var record pcap.Record
	for {
		err := capture.Next(&record)
		if errors.Is(err, pcap.ErrCut) {
			file.Cut = err.Error()
		}
		if err == io.EOF || file.Cut != "" {
			break
		}
		if err == nil {
			err = x.add(c, &record)
		}
		if err != nil {
			return file, err
		}
	}
	for link, records := range capture.Skipped() {
		file.Skipped = append(file.Skipped, replay.Skipped{Link: link.String(), Records: records})
	}
	if err := x.ask(c); err != nil {
		return file, err
	}
	if x.packets == 0 {
		return file, replay.ErrNoPackets
	}
	return file, x.summary()
}

// add takes a packet, and asks about all that wait when they are enough.
func (x *captureExplainer) add(c *cobra.Command, record *pcap.Record) error {
	frame := wholeFrame(record)
	x.packets++
	if len(frame) > len(record.Frame) {
		x.cut++
	}
	p := explainedPacket{Number: x.packets, Time: timeOf(record), Bytes: record.Length}
	if x.queue != nil {
		p.Queue = x.queue(frame)
	}
	x.waiting = append(x.waiting, p)
	x.probes = append(x.probes, api.Probe{Frame: frame, Interface: x.ingress})
	if len(x.waiting) < explainBatch {
		return nil
	}
	return x.ask(c)
}

// ask asks the daemon about the packets that wait, and prints the answers.
func (x *captureExplainer) ask(c *cobra.Command) error {
	if len(x.waiting) == 0 {
		return nil
	}
	answer, err := x.client.ExplainBatch(c.Context(), api.Probes{Probes: x.probes, Brief: true})
	if err != nil {
		return err
	}
	if len(answer.Explanations) != len(x.waiting) {
		return fmt.Errorf("explain %d packets: the daemon answers about %d", len(x.waiting), len(answer.Explanations))
	}
	for n, e := range answer.Explanations {
		x.waiting[n].Explanation = e
		x.reasons[cmp.Or(e.Reason, notExplained)]++
		if err := x.line(x.waiting[n]); err != nil {
			return err
		}
	}
	x.waiting, x.probes = x.waiting[:0], x.probes[:0]
	return x.out.Flush()
}

// notExplained is in the place of a reason where the daemon has none.
const notExplained = "not explained"

func (x *captureExplainer) json(v any) error { return cli.JSONLines(x.out).Encode(v) }

// line prints a packet.
func (x *captureExplainer) line(p explainedPacket) error {
	if x.format == cli.FormatJSON {
		return x.json(p)
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
	if x.queue != nil {
		queue = "q?  "
		if p.Queue != nil {
			queue = fmt.Sprintf("%-4s", fmt.Sprintf("q%d", *p.Queue))
		}
	}
	choice := cmp.Or(e.Choice, e.Error, "-")
	_, err := fmt.Fprintf(x.out, "%-27s  %s%-44s  %-16s  %-10s  %-20s  %s\n",
		cmp.Or(p.Time, "-"), queue, flow, cmp.Or(e.Reason, notExplained), service, cmp.Or(e.Replica, "-"), choice)
	return err
}

// summary prints the reasons, those of most packets first.
func (x *captureExplainer) summary() error {
	var s captureSummary
	s.Summary.Packets, s.Summary.Cut = x.packets, x.cut
	for reason, n := range x.reasons {
		s.Summary.Reasons = append(s.Summary.Reasons, reasonOfPacket{reason, n, float64(n) / float64(x.packets)})
	}
	slices.SortFunc(s.Summary.Reasons, func(a, b reasonOfPacket) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.Reason, b.Reason))
	})
	if x.format == cli.FormatJSON {
		return x.json(s)
	}
	w := tabwriter.NewWriter(x.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w)
	cli.Row(w, "REASON", "PACKETS", "SHARE")
	for _, r := range s.Summary.Reasons {
		cli.Row(w, r.Reason, report.Cell(r.Packets), cli.Percent(r.Share)+" %")
	}
	cli.Row(w, "all", report.Cell(x.packets), "100.0 %")
	if x.cut > 0 {
		fmt.Fprintf(w, "%s captured in part: what is missing was taken for zeros\n", cli.Many(int(x.cut), "packet"))
	}
	return w.Flush()
}
