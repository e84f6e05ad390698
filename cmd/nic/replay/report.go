package replay

import (
	"fmt"
	"path/filepath"
	"strconv"

	"lbctl/cmd/cli"
	"lbctl/rss/replay"
	"lbctl/testbed/report"
)

// write writes a replay as a report with figures.
func (f *flags) write(name string, found *replay.Report) error {
	figures, err := figures(found)
	if err != nil {
		return err
	}
	return cli.WriteReport(f.out, "capture "+filepath.Base(name), report.Result{
		Experiment: "replay of " + filepath.Base(name), Seed: f.Seed,
		Parameters: map[string]any{
			"capture": name, "interface": f.Interface, "profile": f.Profile, "key": f.Key, "queues": len(found.Queues), "table": len(found.Buckets),
			"fill": f.Fill, "fields": f.Fields, "inner": f.Inner, "default-queue": found.DefaultQueue, "by": string(f.By), "compare": f.compare,
			"change-at": f.changeAt, "change-to": f.changeTo, "window": f.window.String(),
		},
		Checks: checks(found), Tables: tables(found),
	}, figures...)
}

// checks tell whether the figures are those of the whole capture.
func checks(r *replay.Report) []report.Check {
	var queues, entries replay.Load
	for _, q := range r.Queues {
		queues.Packets, queues.Flows = queues.Packets+q.Packets, queues.Flows+q.Flows
	}
	for _, b := range r.Buckets {
		entries.Packets += b.Packets
	}
	if r.DefaultQueue != firstEntry {
		entries.Packets += r.Unhashed.Packets
	}
	placed, end := queues.Packets+r.Unpredicted.Packets, r.File.Cut+r.File.Damage
	if end == "" {
		end = "the end of the file"
	}
	return []report.Check{
		{Name: "every-packet-once", Pass: placed == r.File.Records, Measured: int(placed), Expected: int(r.File.Records),
			Detail: "Each record that was read is on one queue, or counted as cut before what the NIC hashes."},
		{Name: "every-hash-in-the-table", Pass: entries.Packets == r.Packets, Measured: int(entries.Packets), Expected: int(r.Packets),
			Detail: "The packets of all entries of the table, and those without a hash, are those on the queues."},
		{Name: "every-flow-once", Pass: queues.Flows == r.Flows, Measured: int(queues.Flows), Expected: int(r.Flows),
			Detail: "The flows of all queues are those of the capture."},
		{Name: "whole-capture", Pass: r.File.Cut+r.File.Damage == "", Measured: end, Expected: "the end of the file",
			Detail: "Where reading ended: the figures are of what is before."},
	}
}

// firstEntry is the default queue of a NIC that puts packets without a hash where entry 0 of the table says.
const firstEntry = "entry-0"

func tables(r *replay.Report) []report.Table {
	queues := report.Table{Name: "queues", Columns: []string{"queue", "packets", "bytes", "flows"}}
	for _, q := range r.Queues {
		queues.Rows = append(queues.Rows, []any{int(q.Queue), int(q.Packets), int(q.Bytes), int(q.Flows)})
	}
	imbalance := report.Table{Name: "imbalance", Columns: []string{"of", "max/mean", "cv", "jain"}}
	for _, m := range []struct {
		name string
		of   replay.Imbalance
	}{{"packets", r.Imbalance.Packets}, {"bytes", r.Imbalance.Bytes}, {"flows", r.Imbalance.Flows}} {
		imbalance.Rows = append(imbalance.Rows, []any{m.name, m.of.MaxMean, m.of.CV, m.of.Jain})
	}
	top := report.Table{Name: "largest flows", Columns: []string{"flow", "packets", "bytes", "queue"}}
	for _, f := range r.Top {
		top.Rows = append(top.Rows, []any{fmt.Sprintf("%s %s > %s", f.Protocol, f.Source, f.Destination), int(f.Packets), int(f.Bytes), int(f.Queue)})
	}
	affinity := report.Table{Name: "misrouted packets", Columns: []string{"cause", "flows", "packets", "example"}}
	for _, v := range r.Affinity {
		affinity.Rows = append(affinity.Rows, []any{v.Cause, int(v.Flows), int(v.Packets), v.Example})
	}
	verdict := report.Table{Name: "verdict", Columns: []string{"kind", "text"}, Rows: [][]any{{r.Verdict.Kind, r.Verdict.Text}}}
	return []report.Table{verdict, queues, imbalance, top, affinity}
}

func figures(r *replay.Report) ([]report.Figure, error) {
	var all []report.Figure
	for _, draw := range []func(*replay.Report) (report.Figure, error){queueFigure, bucketFigure, windowFigure} {
		figure, err := draw(r)
		if err != nil {
			return nil, err
		}
		if figure.SVG != nil {
			all = append(all, figure)
		}
	}
	return all, nil
}

// queueFigure draws flows and load by queue.
func queueFigure(r *replay.Report) (report.Figure, error) {
	flows := report.Panel{X: "receive queue", Y: "flows"}
	loads := report.Panel{X: "receive queue", Y: string(r.Measure)}
	mean := float64(r.By(r.Measure)) / float64(len(r.Queues))
	for _, q := range r.Queues {
		label, flow := strconv.Itoa(int(q.Queue)), float64(r.Flows)/float64(len(r.Queues))
		share := report.Share{Label: label, Count: float64(q.Flows), Expected: flow, Low: flow, High: flow}
		if q.Band != nil {
			share.Low, share.High = float64(q.Band[0]), float64(q.Band[1])
		}
		flows.Shares = append(flows.Shares, share)
		loads.Shares = append(loads.Shares, report.Share{Label: label, Count: float64(q.By(r.Measure)), Expected: mean, Low: mean, High: mean})
	}
	return report.Shares("queues", "Flows and load of queues",
		"Left: flows by queue; grey is the range of the hashed ones by chance in 95 of 100 cases. Right: the load; dashed is the mean. "+r.Verdict.Text, flows, loads)
}

// bucketFigure draws the load of the entries, 16 in a row.
func bucketFigure(r *replay.Report) (report.Figure, error) {
	const across = 16
	if len(r.Buckets) > 64*across {
		return report.Figure{}, nil // the rows would be too thin to see
	}
	m := report.Matrix{X: "entry modulo 16", Y: "entry", Unit: string(r.Measure)}
	for x := range min(across, len(r.Buckets)) {
		m.Columns = append(m.Columns, strconv.Itoa(x))
	}
	for from := 0; from < len(r.Buckets); from += across {
		m.Rows = append(m.Rows, strconv.Itoa(from))
		row := make([]float64, len(m.Columns))
		for x, b := range r.Buckets[from:min(from+across, len(r.Buckets))] {
			row[x] = float64(b.By(r.Measure))
		}
		m.Counts = append(m.Counts, row)
	}
	return report.HeatMap("entries", "Load of the entries of the indirection table",
		"A rewritten table moves whole entries. A few dark entries among pale ones are elephant flows.", m)
}

// windowFigure draws load by queue and time.
func windowFigure(r *replay.Report) (report.Figure, error) {
	if r.Windows == nil || len(r.Queues) > 64 {
		return report.Figure{}, nil
	}
	const most = 240 // columns that can still be told apart
	step := (len(r.Windows.List) + most - 1) / most
	m := report.Matrix{X: fmt.Sprintf("time, in steps of %g s", r.Windows.Seconds*float64(step)), Y: "queue", Unit: string(r.Measure)}
	for q := range r.Queues {
		m.Rows = append(m.Rows, strconv.Itoa(q))
		m.Counts = append(m.Counts, make([]float64, (len(r.Windows.List)+step-1)/step))
	}
	for i, w := range r.Windows.List {
		if i%step == 0 {
			m.Columns = append(m.Columns, strconv.Itoa(i/step))
		}
		for q, load := range w.Queues {
			m.Counts[q][i/step] += float64(load)
		}
	}
	return report.HeatMap("windows", "Load of queues over time", "Each row is a queue. A row that stays darker than the others is a core that is busy while others are idle.", m)
}
