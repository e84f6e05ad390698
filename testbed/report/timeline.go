package report

import (
	"fmt"
	"math"
)

// Track is a row of a timeline: somebody, and what they did when.
type Track struct {
	Name    string
	Spans   []Span
	Moments []Moment
}

// Span is something that lasts. Its label is written into it if it has room.
type Span struct {
	From, To float64
	Label    string
	// Idle is drawn as an outline: somebody waits.
	Idle bool
}

// Moment is something that happens at once. Its label stands beside it.
type Moment struct {
	At    float64
	Label string
}

// Measures of a timeline, in points. letter is about the width of one at the size of labels.
const (
	trackNames  = 104
	trackHeight = 30
	trackBar    = 14
	letter      = 3.9
)

// Timeline draws tracks below each other over a common time. The axis has numbers if its Min and Max are set, else only
// its label: the order alone means something.
func Timeline(name, title, caption string, x Axis, tracks ...Track) (Figure, error) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, t := range tracks {
		for _, s := range t.Spans {
			low, high = min(low, s.From), max(high, s.To)
		}
		for _, m := range t.Moments {
			low, high = min(low, m.At), max(high, m.At)
		}
	}
	numbered := x.Max > x.Min
	if numbered {
		low, high = x.Min, x.Max
	}
	if !(low < high) {
		return Figure{}, fmt.Errorf("draw figure %s: from %v to %v: want some time", name, low, high)
	}
	at := func(v float64) float64 {
		return trackNames + (min(max(v, low), high)-low)/(high-low)*(pageWidth-trackNames-6)
	}
	var d diagram
	for i, t := range tracks {
		d.track(float64(i*trackHeight), t, at)
	}
	bottom := float64(len(tracks) * trackHeight)
	d.rule(trackNames, bottom, pageWidth-6, bottom, 0.6)
	if numbered {
		for _, tick := range (even{}).Ticks(low, high) {
			d.rule(at(tick.Value), 0, at(tick.Value), bottom+3, 0.15)
			d.text(at(tick.Value), bottom+12, tickSize, "middle", 1, "", tick.Label)
		}
	}
	d.text((trackNames+pageWidth)/2, bottom+24, labelSize, "middle", 1, "", x.Label)
	return newFigure(name, title, caption, pageWidth, bottom+28, d.Bytes()), nil
}

// track draws a row from y down.
func (d *diagram) track(y float64, t Track, at func(float64) float64) {
	middle := y + trackHeight - trackBar/2 - 3
	d.text(trackNames-8, middle+3, labelSize, "end", 1, "", t.Name)
	d.rule(trackNames, middle, pageWidth-6, middle, 0.15)
	for _, s := range t.Spans {
		from, to := at(s.From), at(s.To)
		opacity := 0.35
		if s.Idle {
			opacity = 0.05
		}
		fmt.Fprintf(d, `<rect x="%.1f" y="%.1f" width="%.1f" height="%d" rx="2" fill="#3b7dc4" fill-opacity="%g" stroke="#3b7dc4" stroke-width="0.6"/>`+"\n",
			from, middle-trackBar/2, max(to-from, 0.8), trackBar, opacity)
		if to-from >= letter*float64(len(s.Label)) {
			d.text((from+to)/2, middle+2.7, tickSize, "middle", 1, "", s.Label)
		}
	}
	for _, m := range t.Moments {
		x := at(m.At)
		d.rule(x, middle-trackBar/2, x, middle+trackBar/2, 1)
		d.text(x, middle-trackBar/2-2, 7, "middle", 0.85, "", m.Label)
	}
}

// rule draws a line.
func (d *diagram) rule(x0, y0, x1, y1, opacity float64) {
	fmt.Fprintf(d, `<path d="M%.1f %.1fL%.1f %.1f" stroke="currentColor" stroke-width="0.8" stroke-opacity="%g"/>`+"\n", x0, y0, x1, y1, opacity)
}
