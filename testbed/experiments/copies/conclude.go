package copies

import (
	"fmt"
	"math"
	"strings"

	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// The names of quantities and predictions.
const (
	copiesRead  = "copies-read"
	copiesRing  = "copies-ring"
	copiesXDP   = "copies-af_xdp"
	shareOfCopy = "share-of-copy"
	ringOfRead  = "ring-of-read"
)

func predictions() []experiment.Prediction {
	return []experiment.Prediction{
		{Name: copiesRead, Unit: "copies", Question: "A frame lies in the driver's memory. A process gets it by read(2) on a packet socket. How often do the kernel's functions copy its bytes on the way?"},
		{Name: copiesRing, Unit: "copies", Question: "The process gets it from a packet ring that is mapped into its memory (TPACKET_V3): how often?"},
		{Name: copiesXDP, Unit: "copies", Question: "The process gets it by an AF_XDP socket on a driver that cannot write into the process's memory: how often?"},
		{Name: shareOfCopy, Unit: "%", Factor: 2, Tolerance: 2, Question: "A frame of 1,514 bytes is in the core's cache, and a process gets it by read(2). What share of the CPU time of sending and receiving it, in %, is the price of its bytes, which is what grows with the payload?"},
		{Name: ringOfRead, Factor: 1.5, Question: "Sending and receiving included, how many times the CPU time of the mapped ring does read(2) take, with 64 bytes of payload?"},
	}
}

// Conclude implements experiment.Design.
func (d *design) Conclude(r *experiment.Run) error {
	e := d.found
	r.Check(e.checks()...)
	r.Control(e.controls()...)
	r.Noise = measure.Describe(e.rounds.Noise())
	e.answer(r)
	r.Table(e.copyTable(), e.costTable(), e.functionTable())
	figure, err := e.figure()
	r.Figure(figure)
	return err
}

// copies is how often a frame was copied on a path, nil if none came.
func (e evidence) copies(p Path) any {
	copies, frames := 0, 0
	for _, payload := range []int{minPayload, maxPayload} {
		k := e.counted[key{p, payload}]
		frames += k.Passed.Received
		for _, calls := range k.Copies {
			copies += calls
		}
	}
	if frames == 0 {
		return nil
	}
	return float64(copies) / float64(frames)
}

// share is the price of the bytes of the largest frame by read(2), in percent of all that it costs.
func (e evidence) share() measure.Estimate {
	var arms []string
	for _, payload := range payloads() {
		arms = append(arms, key{Read, payload}.arm())
	}
	for _, payload := range payloads() {
		arms = append(arms, key{InPlace, payload}.arm())
	}
	return e.rounds.Combine(arms, func(m []passed) float64 {
		n := len(payloads())
		_, own := fit(m[:n])
		_, base := fit(m[n:])
		return 100 * (own - base) * maxPayload / m[n-1].nanoseconds()
	}).Median(falseAlarm)
}

// ratio is what a small frame costs by read(2), by what it costs by the ring.
func (e evidence) ratio() measure.Estimate {
	return e.rounds.Pairs(key{Read, minPayload}.arm(), key{Ring, minPayload}.arm(), passed.nanoseconds, measure.Ratio).Median(falseAlarm)
}

// answer enters the headline, and what predictions are held against.
func (e evidence) answer(r *experiment.Run) {
	cost := func(p Path, payload int) string {
		return report.Cell(math.Round(measure.Median(e.rounds.Sample(key{p, payload}.arm(), passed.nanoseconds).Values)))
	}
	noise := ""
	if e.share().Unquiet != "" {
		noise = " (times are those of a busy machine)"
	}
	r.Headline("read(2), the mapped ring and AF_XDP each copied a frame %s, %s and %s times; a frame of 1,514 bytes cost %s, %s and %s ns of CPU time; by read(2), %s %% of that was the price of its bytes%s.",
		report.Cell(e.copies(Read)), report.Cell(e.copies(Ring)), report.Cell(e.copies(Socket)),
		cost(Read, maxPayload), cost(Ring, maxPayload), cost(Socket, maxPayload), report.Cell(measure.Round(e.share().Value, 1)), noise)
	r.Quantity(
		report.Quantity{Name: copiesRead, Value: e.copies(Read), Unit: "copies"},
		report.Quantity{Name: copiesRing, Value: e.copies(Ring), Unit: "copies"},
		report.Quantity{Name: copiesXDP, Value: e.copies(Socket), Unit: "copies"},
		e.share().Quantity(shareOfCopy, "%"),
		e.ratio().Quantity(ringOfRead, ""),
	)
}

// copyTable says who copies what.
func (e evidence) copyTable() report.Table {
	t := report.Table{
		Name:    "Copies of a frame, counted in " + e.guest,
		Columns: []string{"path", "payload", "frames", "copies a frame", "bytes a frame", "by", "from where to where", "here: copies to the process"},
	}
	for _, p := range append(paths(), Peek) {
		for _, payload := range []int{minPayload, maxPayload} {
			c := e.counted[key{p, payload}]
			copies, bytes := 0, 0
			var by, to []string
			for _, probe := range probes() {
				if n := c.Copies[probe.function]; n > 0 {
					copies += n
					bytes += c.Bytes[probe.function]
					by, to = append(by, probe.function), append(to, probe.to)
				}
			}
			n := max(c.Passed.Received, 1)
			row := []any{string(p), payload, c.Passed.Received, float64(copies) / float64(n), float64(bytes) / float64(n), strings.Join(by, ", "), strings.Join(to, ", "), "not asked"}
			if h, ok := e.here[key{p, payload}]; ok {
				row[7] = fmt.Sprintf("%d of %d", h.calls, h.passed.Received)
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

// costTable is the line of each path: what a byte costs, and the rest.
func (e evidence) costTable() report.Table {
	t := report.Table{
		Name:    "CPU time of a frame: a line through the payloads",
		Columns: []string{"path", "64 bytes, ns", "1,500 bytes, ns", "ns a byte above in place", "interval", "1,500 of them, ns", "the rest above in place, ns", "interval"},
	}
	for _, p := range paths() {
		at := func(payload int) float64 {
			return math.Round(measure.Median(e.rounds.Sample(key{p, payload}.arm(), passed.nanoseconds).Values))
		}
		row := []any{string(p), at(minPayload), at(maxPayload), "", "", "", "", ""}
		if p != InPlace {
			slope, rest := e.slope(p), e.difference(p, InPlace, minPayload)
			row[3], row[4] = measure.Round(slope.Value, 4), span(slope, "%.4f to %.4f")
			row[5] = math.Round(slope.Value * maxPayload)
			row[6], row[7] = math.Round(rest.Value-slope.Value*minPayload), span(rest, "%.0f to %.0f")
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// span writes an interval.
func span(e measure.Estimate, format string) string {
	switch {
	case e.Unquiet != "":
		return "undetermined: the machine was not quiet"
	case math.IsInf(e.Low, 0) || math.IsInf(e.High, 0):
		return "too few quiet rounds"
	}
	return fmt.Sprintf(format, e.Low, e.High)
}

// functionTable lists all that was called for each frame and has copy in its name.
func (e evidence) functionTable() report.Table {
	t := report.Table{
		Name:    "Every traceable function of the guest's kernel with copy or memcpy in its name that was called for at least every second frame",
		Columns: []string{"path", "payload", "function", "calls a frame"},
	}
	for _, p := range append(paths(), Peek) {
		for _, payload := range []int{minPayload, maxPayload} {
			c := e.counted[key{p, payload}]
			for _, f := range perFrame(c) {
				t.Rows = append(t.Rows, []any{string(p), payload, f, measure.Round(float64(c.Called[f])/float64(max(c.Passed.Received, 1)), 2)})
			}
		}
	}
	return t
}

// figure draws the cost over the payload.
func (e evidence) figure() (report.Figure, error) {
	var series []report.Series
	for _, p := range paths() {
		s := report.Series{Name: string(p)}
		for _, payload := range payloads() {
			s.Points = append(s.Points, e.rounds.Sample(key{p, payload}.arm(), passed.nanoseconds).Median(falseAlarm).Point(float64(payload)))
		}
		series = append(series, s)
	}
	return report.Lines("cost", "CPU time of a frame by payload",
		"Medians over rounds with their intervals: sending and receiving one frame on one core. How steep a line is, is the price of copying a byte; how high it begins, that of everything else. In place nothing is copied.",
		report.Chart{X: report.Axis{Label: "payload, bytes"}, Y: report.Axis{Label: "CPU time of a frame, ns"}, Series: series})
}
