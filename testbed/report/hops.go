package report

import (
	"bytes"
	"fmt"
	"html"
)

// Hop is one station of a connection.
type Hop struct {
	// Via is written above the arrow from the station before, up to 9 characters: "mod 128".
	Via string
	// Label is what the station is, Value its value here, Note a line below it.
	Label, Value, Note string
}

// Lane is a row of stations that starts at the origin.
type Lane struct {
	// Name is who does it: "network card".
	Name string
	Hops []Hop
}

// Measures of the drawing, in points.
const (
	hopOrigin = 116
	hopBox    = 68
	hopHeight = 46
	hopLane   = 84
	hopTop    = 22
)

// Hops draws how one origin (the 4-tuple) becomes a queue and a core, a slot and
// a replica: a row of boxes for each lane. A lane holds up to four stations.
func Hops(name, title, caption string, origin Hop, lanes ...Lane) (Figure, error) {
	for _, lane := range lanes {
		if len(lane.Hops) == 0 || len(lane.Hops) > 4 {
			return Figure{}, fmt.Errorf("draw figure %s: lane %q has %d stations, want 1 to 4", name, lane.Name, len(lane.Hops))
		}
	}
	var d diagram
	height := float64(hopTop + hopLane*len(lanes) - (hopLane - hopHeight) + 4)
	middle := (hopTop + height - 4) / 2
	d.box(1, middle-hopHeight/2, hopOrigin, origin)
	for i, lane := range lanes {
		d.lane(float64(hopTop+i*hopLane), middle, lane)
	}
	return newFigure(name, title, caption, pageWidth, height, d.Bytes()), nil
}

// diagram is SVG in the making.
type diagram struct{ bytes.Buffer }

// lane draws a row whose boxes have their top at y, from the origin's middle.
func (d *diagram) lane(y, middle float64, lane Lane) {
	n := len(lane.Hops)
	gap := (pageWidth - 2 - hopOrigin - float64(n*hopBox)) / float64(n)
	row := y + hopHeight/2
	d.text(hopOrigin+gap+1, y-8, 8, "start", 0.65, "", lane.Name)
	for i, hop := range lane.Hops {
		x := 1 + hopOrigin + gap + float64(i)*(hopBox+gap)
		from := middle
		if i > 0 {
			from = row
		}
		d.arrow(x-gap, from, x, row)
		d.text(x-gap/2, row-5, 7, "middle", 0.8, "", hop.Via)
		d.box(x, y, hopBox, hop)
	}
}

// arrow draws a line with a head; where the heights differ it turns near its start.
func (d *diagram) arrow(x0, y0, x1, y1 float64) {
	fmt.Fprintf(d, `<path d="M%.1f %.1fh4V%.1fH%.1f" fill="none" stroke="currentColor" stroke-width="0.8"/>`+"\n", x0, y0, y1, x1-4)
	fmt.Fprintf(d, `<path d="M%.1f %.1fl-5.5 -2.6v5.2z"/>`+"\n", x1, y1)
}

func (d *diagram) box(x, y, width float64, hop Hop) {
	fmt.Fprintf(d, `<rect x="%.1f" y="%.1f" width="%.1f" height="%d" rx="3" fill="#3b7dc4" fill-opacity="0.14" stroke="#3b7dc4" stroke-width="0.8"/>`+"\n",
		x, y, width, hopHeight)
	middle := x + width/2
	d.text(middle, y+11.5, 7.5, "middle", 0.7, "", hop.Label)
	d.text(middle, y+26, 9.5, "middle", 1, "bold", hop.Value)
	d.text(middle, y+38.5, 7.5, "middle", 0.85, "", hop.Note)
}

func (d *diagram) text(x, y, size float64, anchor string, opacity float64, weight, s string) {
	if s == "" {
		return
	}
	if weight != "" {
		weight = ` font-weight="` + weight + `"`
	}
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" font-size="%g" text-anchor="%s" fill-opacity="%g"%s>%s</text>`+"\n",
		x, y, size, anchor, opacity, weight, html.EscapeString(s))
}
