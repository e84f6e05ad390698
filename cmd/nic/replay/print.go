package replay

import (
	"fmt"
	"io"
	"strings"

	"lbctl/cmd/cli"
	"lbctl/rss/replay"
	"lbctl/rss/setup"
	"lbctl/testbed/report"
)

// printer prints a replay for a reader.
type printer struct {
	*replay.Report
	options replay.Options
	real    *setup.Real
}

// print prints the answer first, then the figures.
func (p printer) print(w io.Writer) {
	config := p.options.NIC.Config()
	cli.Row(w, "capture", fmt.Sprintf("%s, %s packets, %s bytes, %s flows, %.3f s", p.File.Format,
		report.Cell(int(p.Packets)), report.Cell(int(p.Bytes)), report.Cell(int(p.Flows)), p.Seconds))
	cli.Row(w, "nic", fmt.Sprintf("%s, table of %d, %v", cli.Many(len(p.Queues), "queue"), len(config.Table), config.Function))
	if p.real != nil && len(p.real.Assumed) > 0 {
		cli.Row(w, "assumed", strings.Join(p.real.Assumed, "; "))
	}
	if text := cli.UnreachableText(config.Table.Unreachable(len(p.Queues))); text != "" {
		cli.Row(w, "table", text)
	}
	p.apart(w)
	fmt.Fprintf(w, "\n%s\n", wrap(p.Verdict.Text, 100))
	p.queues(w)
	p.unhashed(w)
	p.imbalance(w)
	p.top(w)
	p.affinity(w)
	p.windows(w)
	for i := range p.Compare {
		printCompared(w, p.Report, &p.Compare[i])
	}
}

// apart prints what is not in the figures, or not as on the wire.
func (p printer) apart(w io.Writer) {
	if n := p.Unpredicted.Packets; n > 0 {
		cli.Row(w, "not predicted", cli.Many(int(n), "more packet")+", cut before what the NIC hashes: in no figure below")
	}
	if n := p.Super.Packets; n > 0 {
		cli.Row(w, "super-packets", fmt.Sprintf("%s of %s bytes, each several on the wire", cli.Many(int(n), "packet"), report.Cell(int(p.Super.Bytes))))
	}
}

// unhashed prints why packets were not hashed.
func (p printer) unhashed(w io.Writer) {
	if len(p.UnhashedBy) == 0 {
		return
	}
	fmt.Fprintln(w)
	cli.Row(w, "NOT HASHED", "PACKETS", "BYTES", "SHARE OF "+strings.ToUpper(string(p.Measure)), "EXAMPLE")
	for _, u := range p.UnhashedBy {
		cells := []any{u.Cause, report.Cell(int(u.Packets)), report.Cell(int(u.Bytes)), fmt.Sprintf("%5.1f %%", 100*part(u.By(p.Measure), p.By(p.Measure)))}
		if u.Example != "" {
			cells = append(cells, u.Example)
		}
		cli.Row(w, cells...)
	}
	to := p.options.NIC.Config()
	fmt.Fprintf(w, "They go to queue %d%s.\n", to.DefaultQueue.Of(to.Table), map[bool]string{true: ", which entry 0 of the table names"}[to.DefaultQueue.FirstEntry])
}

func (p printer) queues(w io.Writer) {
	fmt.Fprintln(w)
	cli.Row(w, "QUEUE", "PACKETS", "BYTES", "FLOWS", "BY CHANCE", "SHARE OF "+strings.ToUpper(string(p.Measure)))
	for _, q := range p.Queues {
		band := ""
		if q.Band != nil {
			band = fmt.Sprintf("%s-%s", report.Cell(q.Band[0]), report.Cell(q.Band[1]))
		}
		share := part(q.By(p.Measure), p.By(p.Measure))
		cli.Row(w, q.Queue, report.Cell(int(q.Packets)), report.Cell(int(q.Bytes)), report.Cell(int(q.Flows)), band,
			strings.TrimRight(fmt.Sprintf("%5.1f %% %s", 100*share, strings.Repeat("█", int(share*40+0.5))), " "))
	}
}

func (p printer) imbalance(w io.Writer) {
	fmt.Fprintln(w)
	cli.Row(w, "IMBALANCE", "MAX/MEAN", "BY CHANCE", "CV", "JAIN", "CHI-SQUARE")
	for _, m := range []struct {
		name string
		of   replay.Imbalance
	}{{"packets", p.Imbalance.Packets}, {"bytes", p.Imbalance.Bytes}, {"flows", p.Imbalance.Flows}} {
		chance, test := "", ""
		if b := m.of.ByChance; b != nil {
			chance = fmt.Sprintf("%.2f-%.2f", b[0], b[1])
		}
		if t := m.of.ChiSquare; t != nil {
			test = fmt.Sprintf("%.1f, p %.3f", t.Statistic, t.P)
		}
		cli.Row(w, m.name, fmt.Sprintf("%.3f", m.of.MaxMean), chance, fmt.Sprintf("%.3f", m.of.CV), fmt.Sprintf("%.3f", m.of.Jain), test)
	}
	fmt.Fprintln(w)
	b := p.Best
	cli.Row(w, "LEAST MAX/MEAN", strings.ToUpper(string(p.Measure)), "BY CHANGING")
	cli.Row(w, "as it is", fmt.Sprintf("%.3f", b.Now), "nothing")
	cli.Row(w, "entries moved", fmt.Sprintf("%.3f", b.Buckets), "the indirection table")
	cli.Row(w, "hashes moved", fmt.Sprintf("%.3f", b.Hashes), "its size, or the key")
	cli.Row(w, "flows moved", fmt.Sprintf("%.3f", b.Flows), "the hash fields; a flow cannot be split")
	cli.Row(w, "table's floor", fmt.Sprintf("%.3f", p.Floor), "nothing, if every entry had the same load")
}

func (p printer) top(w io.Writer) {
	if len(p.Top) == 0 {
		return
	}
	fmt.Fprintln(w)
	cli.Row(w, "LARGEST FLOWS", "PACKETS", "BYTES", "SHARE", "QUEUE")
	for _, f := range p.Top {
		cli.Row(w, fmt.Sprintf("%s %s > %s", f.Protocol, f.Source, f.Destination),
			report.Cell(int(f.Packets)), report.Cell(int(f.Bytes)), fmt.Sprintf("%.1f %%", 100*f.Share), f.Queue)
	}
}

func (p printer) affinity(w io.Writer) {
	fmt.Fprintln(w)
	if len(p.Affinity) == 0 {
		fmt.Fprintln(w, "Every flow stayed on one queue, and so did every connection.")
		return
	}
	cli.Row(w, "MISROUTED", "FLOWS", "PACKETS", "EXAMPLE")
	for _, v := range p.Affinity {
		cli.Row(w, v.Cause, report.Cell(int(v.Flows)), report.Cell(int(v.Packets)), v.Example)
	}
}

// maxWindows is how many windows are printed; -o json has all.
const maxWindows = 40

func (p printer) windows(w io.Writer) {
	if p.Windows == nil {
		return
	}
	fmt.Fprintln(w)
	cli.Row(w, "FROM", "PACKETS", "BYTES", "MAX/MEAN", strings.ToUpper(string(p.Measure))+" BY QUEUE")
	for i, window := range p.Windows.List {
		if i == maxWindows {
			fmt.Fprintf(w, "and %s of %g s (see them with -o json)\n", cli.Many(len(p.Windows.List)-i, "more window"), p.Windows.Seconds)
			break
		}
		loads := make([]string, min(len(window.Queues), 16))
		for q := range loads {
			loads[q] = report.Cell(int(window.Queues[q]))
		}
		cli.Row(w, fmt.Sprintf("%g s", window.Start), report.Cell(int(window.Packets)), report.Cell(int(window.Bytes)),
			fmt.Sprintf("%.2f", window.MaxMean), strings.Join(loads, " "))
	}
}

// printCompared prints another setup beside the first.
func printCompared(w io.Writer, first *replay.Report, c *replay.Compared) {
	fmt.Fprintln(w)
	fmt.Fprintf(w, "With %s: %s of %s flows move, %.1f %% of the packets, %.1f %% of the bytes.\n", c.Name,
		report.Cell(int(c.Moved.Flows)), report.Cell(int(first.Flows)),
		100*part(c.Moved.Packets, first.Packets), 100*part(c.Moved.Bytes, first.Bytes))
	cli.Row(w, "MAX/MEAN", "NOW", "THEN", "BY CHANCE")
	for _, m := range []struct {
		name      string
		now, then replay.Imbalance
	}{
		{"packets", first.Imbalance.Packets, c.Imbalance.Packets},
		{"bytes", first.Imbalance.Bytes, c.Imbalance.Bytes},
		{"flows", first.Imbalance.Flows, c.Imbalance.Flows},
	} {
		chance := ""
		if b := m.then.ByChance; b != nil {
			chance = fmt.Sprintf("%.2f-%.2f", b[0], b[1])
		}
		cli.Row(w, m.name, fmt.Sprintf("%.3f", m.now.MaxMean), fmt.Sprintf("%.3f", m.then.MaxMean), chance)
	}
}

// part returns a/b, 0 where b is 0.
func part(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// wrap breaks a sentence into lines of at most width bytes.
func wrap(text string, width int) string {
	var out strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		switch {
		case column > 0 && column+1+len(word) > width:
			out.WriteString("\n")
			column = 0
		case column > 0:
			out.WriteString(" ")
			column++
		}
		out.WriteString(word)
		column += len(word)
	}
	return out.String()
}
