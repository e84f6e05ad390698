package report

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats/scalar"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// Axis is one of a chart.
type Axis struct {
	// Label says what is on it, and the unit: "payload, bytes".
	Label string
	// Log has equal ratios at equal distances. What is not above 0 is left out; if nothing is, the axis is linear.
	Log bool
	// Min and Max bound the axis. Both 0: everything fits, and a linear Y axis begins at 0.
	Min, Max float64
}

// over returns the axis with bounds: those that it has, or round ones that hold some values.
func (a Axis) over(values []float64, fromZero bool) Axis {
	if a.Log {
		positive := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return v <= 0 })
		if a.Log = len(positive) > 0; a.Log {
			values = positive
		}
	}
	if a.Max > a.Min && (a.Min > 0 || !a.Log) || len(values) == 0 {
		return a
	}
	a.Min, a.Max = slices.Min(values), slices.Max(values)
	switch {
	case a.Log:
		a.Min, a.Max = roundDown(a.Min), roundUp(a.Max)
		if a.Min == a.Max {
			a.Min, a.Max = a.Min/2, a.Max*2
		}
	case fromZero && a.Min >= 0:
		a.Min, a.Max = 0, a.Max*1.05
		if a.Max == 0 {
			a.Max = 1
		}
	}
	if a.Min == a.Max {
		a.Min, a.Max = a.Min-0.5, a.Max+0.5
	}
	return a
}

// roundDown and roundUp round to 1, 2 or 5 times a power of ten.
func roundDown(v float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{5, 2} {
		if v >= step*decade*(1-1e-9) {
			return step * decade
		}
	}
	return decade
}

func roundUp(v float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 2, 5} {
		if v <= step*decade*(1+1e-9) {
			return step * decade
		}
	}
	return 10 * decade
}

func (a Axis) set(axis *plot.Axis) {
	axis.Min, axis.Max = a.Min, a.Max
	axis.Tick.Marker = even{}
	if a.Log {
		axis.Scale, axis.Tick.Marker = plot.LogScale{}, decades{}
	}
}

// even are the ticks of a linear axis: up to nine round values, with thousands separated.
type even struct{}

// Ticks implements plot.Ticker.
func (even) Ticks(low, high float64) (ticks []plot.Tick) {
	step := roundUp((high - low) / 8)
	for i := math.Ceil(low/step - 1e-9); i*step <= high+1e-9*step; i++ {
		v := scalar.Round(i*step, 2-int(math.Floor(math.Log10(step))))
		ticks = append(ticks, plot.Tick{Value: v, Label: number(v)})
	}
	return ticks
}

// decades are the ticks of a logarithmic axis: powers of ten, and where there are fewer than three of these also
// the double and the fivefold.
type decades struct{}

// Ticks implements plot.Ticker.
func (decades) Ticks(low, high float64) (ticks []plot.Tick) {
	first, last := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	for exponent := first; exponent <= last; exponent++ {
		for digit := 1.0; digit < 10; digit++ {
			t := plot.Tick{Value: digit * math.Pow(10, exponent)}
			if t.Value < low*(1-1e-9) || t.Value > high*(1+1e-9) {
				continue
			}
			if digit == 1 || math.Log10(high/low) < 2.5 && (digit == 2 || digit == 5) {
				t.Label = number(t.Value)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// rules are the horizontal lines behind data.
func rules() *plotter.Grid {
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal.Color, grid.Horizontal.Width = ink(0.12), 0.5
	return grid
}
