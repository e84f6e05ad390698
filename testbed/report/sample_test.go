package report

import (
	"math"
	"strconv"
	"testing"
)

// sample is a result with everything a report can hold.
func sample() Result {
	return Result{
		Experiment: "spread", Problem: "5a, 10", Pass: true, Seed: 18446744073709551615,
		Environment: Environment{Kernel: "Linux 6.18.0 x86_64", CPUs: 2, Rig: "softnic", XDP: "native"},
		Parameters:  map[string]any{"replicas": 4, "key": "ms"},
		Checks: []Check{
			{Name: "flow-replica-affinity", Pass: true, Measured: 0, Expected: 0, Detail: "0 of 4,000 connections reached more than one replica."},
			{Name: "object-spread", Pass: true, Measured: 64, Expected: 64.0, Detail: "a < b & \"c\"."},
		},
		Controls: []Check{
			{Name: "spray", Pass: true, Measured: 1998, Expected: "> 0", Detail: "flow-queue-affinity failed, as it must."},
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
	cloud := Cloud{X: "r", Y: "replicas", XMax: 10, YMax: 5, Points: [][2]float64{{1, 1}, {9, 4}},
		Curve: func(x float64) float64 { return 4 * (1 - math.Pow(.75, x)) }}
	var figures []Figure
	for _, draw := range []func() (Figure, error){
		func() (Figure, error) { return HeatMap("heat", "Objects & replicas", "All <of> them.", matrix) },
		func() (Figure, error) { return Shares("shares", "Shares", "Bars.", Panel{"queue", "flows", shares}) },
		func() (Figure, error) { return Hops("hops", "One connection", "Hops.", Hop{Value: "a:1"}, lane) },
		func() (Figure, error) { return Scatter("cloud", "Cloud", "Dots.", cloud) },
	} {
		f, err := draw()
		if err != nil {
			t.Fatal(err)
		}
		figures = append(figures, f)
	}
	return figures
}
