package report

import (
	"math"
	"strconv"
	"testing"
)

// sample is a result with everything a report can hold.
func sample() Result {
	return Result{
		Experiment: "spread", Question: "Does it <spread>?", Claim: "It does.", Method: "By counting.", Headline: "0 of 4,000 moved.",
		Problem: "5a, 10", Pass: true, Seed: 18446744073709551615,
		Environment: Environment{Kernel: "Linux 6.18.0 x86_64", CPUs: 2, Rig: "softnic", XDP: "native"},
		Parameters:  map[string]any{"replicas": 4, "key": "ms"},
		Checks: []Check{
			{Name: "flow-replica-affinity", Pass: true, Measured: 0, Expected: 0, Detail: "0 of 4,000 connections reached more than one replica."},
			{Name: "object-spread", Pass: true, Measured: 64, Expected: 64.0, Detail: "a < b & \"c\"."},
			{Name: "of-direct", Pass: true, Measured: 0.973, Expected: ">= 0.95", Detail: "A ratio.", Estimate: &Estimate{
				Low: new(0.961), High: new(0.984), Test: "sign test", FalseAlarm: 1e-4, Samples: 20, Excluded: 2, Size: "4 replicas, 2 CPUs",
			}},
		},
		Controls: []Check{
			{Name: "spray", Pass: true, Measured: 1998, Expected: "> 0", Detail: "flow-queue-affinity failed, as it must."},
		},
		Quantities: []Quantity{
			{Name: "moved", Value: 52.25, Unit: "%", Low: new(49.5), High: new(55.0), Samples: 400}, {Name: "same", Value: true},
		},
		Predictions: []Prediction{
			{Name: "moved", Question: "What share moves?", Predicted: 75.0, Rule: "within 5 %", Verdict: Fail,
				Measured: Quantity{Name: "moved", Value: 52.25, Unit: "%", Low: new(49.5), High: new(55.0), Samples: 400}},
			{Name: "same", Question: "The same?", Predicted: true, Measured: Quantity{Name: "same", Value: true}, Verdict: Pass},
			{Name: "idle", Question: "How idle?", Predicted: 3.0, Measured: Quantity{Name: "idle", Why: "the machine was not quiet"}, Verdict: Undetermined},
		},
		Tables: []Table{
			{Name: "claims", Columns: []string{"claim", "answer"}, Rows: [][]any{{"Is it <one>?", "Yes."}}},
			{Name: "packets by reason", Columns: []string{"reason", "packets"}, Rows: [][]any{{"forwarded", 123456}}},
		},
	}
}

// drawings are one figure of each kind.
func drawings(t *testing.T) []Figure {
	t.Helper()
	matrix := Matrix{X: "object", Y: "replica", Unit: "requests", Rows: []string{"0", "1"}, Counts: make([][]float64, 2)}
	for i := range 64 {
		matrix.Columns = append(matrix.Columns, strconv.Itoa(i))
		matrix.Counts[0] = append(matrix.Counts[0], float64(40+i%7))
		matrix.Counts[1] = append(matrix.Counts[1], float64(46-i%7))
	}
	shares := []Share{{"0", 1010, 1000, 946, 1054}, {"1", 990, 1000, 946, 1054}}
	lane := Lane{Name: "network card", Hops: []Hop{{"Toeplitz", "hash", "0x51ccc178", ""}, {"mod 128", "index", "120", "of <128>"}}}
	chart := Chart{X: Axis{Label: "payload, bytes", Log: true}, Y: Axis{Label: "ns a packet"}, Series: []Series{
		{Name: "read(2)", Points: costs(900, 0.6)}, {Name: "mmap ring", Points: costs(400, 0.3), Band: true},
		{Name: "measured", Points: costs(250, 0.2), Style: Dots}, Curve("theory", 64, 1500, func(x float64) float64 { return 250 + 0.2*x }),
	}}
	chart.Series[0].Points[2].Y = math.NaN()
	latency := func(name string, scale float64) Distribution {
		var values []float64
		for i := range 2000 {
			values = append(values, scale*math.Exp(3*float64(i*7919%2000)/2000))
		}
		return Bin(name, values, 40, true, Mark{"p50", scale * math.Exp(1.5)}, Mark{"p99", scale * math.Exp(2.97)}, Mark{"far", 1e9})
	}
	var figures []Figure
	for _, draw := range []func() (Figure, error){
		func() (Figure, error) { return HeatMap("heat", "Objects & replicas", "All <of> them.", matrix) },
		func() (Figure, error) { return Shares("shares", "Shares", "Bars.", Panel{"queue", "flows", shares}) },
		func() (Figure, error) { return Hops("hops", "One connection", "Hops.", Hop{Value: "a:1"}, lane) },
		func() (Figure, error) { return Lines("lines", "Cost by size", "Lines.", chart) },
		func() (Figure, error) {
			return Timeline("timeline", "Who did what", "Bars & <ticks>.", Axis{Label: "time, ms", Max: 20},
				Track{"client", []Span{{From: 0, To: 9, Label: "connect"}, {From: 9, To: 20, Idle: true}}, nil},
				Track{"server", nil, []Moment{{3, "SYN"}, {25, "after the end"}}})
		},
		func() (Figure, error) {
			return Histogram("latency", "Latency", "Bars.", Axis{Label: "ms", Log: true}, latency("direct", 0.05), latency("lbctl", 0.07))
		},
	} {
		f, err := draw()
		if err != nil {
			t.Fatal(err)
		}
		figures = append(figures, f)
	}
	return figures
}

// costs are points of a line over sizes, with intervals.
func costs(fixed, perByte float64) (points []Point) {
	for _, size := range []float64{64, 128, 256, 512, 1024, 1500} {
		y := fixed + perByte*size
		points = append(points, Point{X: size, Y: y, Low: 0.95 * y, High: 1.08 * y})
	}
	return points
}
