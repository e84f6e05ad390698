package oneport

import (
	"fmt"
	"math"
	"slices"

	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/predict"
	"lbctl/testbed/report"
)

// claims answers the question from the checks.
func claims(checks []report.Check) report.Table {
	return experiment.Claims(checks, experiment.Finding{
		Question: "How can several processes serve one port while one of them is blocked?",
		Answer:   "Have all processes accept from one listening socket, or hand accepted sockets to whoever is free: new connections then go to processes that wait for them. Sockets of their own do not do: the kernel goes on to give the blocked process its share. Connections that the blocked process already has wait in any case; only where other processes read from the disk does nobody wait.",
	})
}

func quantile(values []float64, q float64) any {
	if len(values) == 0 {
		return "none"
	}
	return math.Round(100*measure.Quantile(values, q)) / 100
}

func designTable(all map[Design]*Result) report.Table {
	t := report.Table{
		Name: "While one process was blocked, by design",
		Columns: []string{"design", "new connections", "answered at once", "stranded", "p50 of those answered, ms", "p99, ms", "p99 with the stranded ones, ms",
			"p99 with nothing blocked, ms", "old connections of the blocked process", "of all", "waited"},
	}
	for _, d := range designs {
		r := all[d]
		prompt := latencies(r.Busy, func(a Answer) bool { return a.Answered < r.Released })
		every := func(Answer) bool { return true }
		owned := 0
		for _, p := range r.Owner[1:] {
			owned += experiment.One(p == r.Blocked)
		}
		n := r.stranded(r.Busy)
		t.Rows = append(t.Rows, []any{string(d), len(r.Busy), len(r.Busy) - n, n, quantile(prompt, 0.5), quantile(prompt, 0.99),
			quantile(latencies(r.Busy, every), 0.99), quantile(latencies(r.Free, every), 0.99), owned, len(r.Kept), r.stranded(r.Kept)})
	}
	return t
}

// counts counts answers by process, the busiest first; those that answered none too.
func (r *Result) counts(answers []Answer) (list []int) {
	by := map[int]int{}
	for _, a := range answers {
		by[a.Process]++
	}
	for _, n := range by {
		list = append(list, n)
	}
	for len(list) < r.sharers() && r.Design != Workers {
		list = append(list, 0)
	}
	slices.SortFunc(list, func(a, b int) int { return b - a })
	return list
}

func shareTable(all map[Design]*Result) report.Table {
	t := report.Table{Name: "Who answers while nothing is blocked: connections by process, the busiest first", Columns: []string{"design", "connections by process", "share of the busiest, %"}}
	for _, d := range designs {
		list := all[d].counts(all[d].Free)
		t.Rows = append(t.Rows, []any{string(d), fmt.Sprint(list), math.Round(100 * float64(list[0]) / float64(len(all[d].Free)))})
	}
	return t
}

// answer enters the headline, and what the predictions are held against.
func answer(r *experiment.Run, all map[Design]*Result) {
	percent := func(d Design) float64 {
		return measure.Round(100*float64(all[d].stranded(all[d].Busy))/float64(max(len(all[d].Busy), 1)), 1)
	}
	share := all[ReusePort]
	interval := measure.Proportion(share.stranded(share.Busy), len(share.Busy), 0.025)
	interval.Value, interval.Low, interval.High = 100*interval.Value, 100*interval.Low, 100*interval.High
	kept := all[Shared].stranded(all[Shared].Kept)
	r.Headline("With one of %d processes blocked on the disk, %v %% of new connections waited for it with a shared listening socket, %v %% with passed sockets, %.1f %% with SO_REUSEPORT, and %v %% when they were passed in turn; of %d old connections to the shared socket %d waited.",
		share.sharers(), percent(Shared), percent(Passed), interval.Value, percent(InTurn), len(all[Shared].Kept), kept)
	r.Quantity(
		report.Quantity{Name: "stranded-shared", Value: percent(Shared), Unit: "%"},
		interval.Quantity("stranded-reuseport", "%"),
		report.Quantity{Name: "stranded-in-turn", Value: percent(InTurn), Unit: "%"},
		report.Quantity{Name: "kept-wait", Value: kept > 0},
	)
}

func figures(all map[Design]*Result) ([]report.Figure, error) {
	waiting, err := waitFigure(all)
	if err != nil {
		return nil, err
	}
	shares, err := shareFigure(all)
	return []report.Figure{waiting, shares}, err
}

// waitFigure draws how long clients waited.
func waitFigure(all map[Design]*Result) (report.Figure, error) {
	var rows []report.Distribution
	for _, d := range designs {
		values := latencies(all[d].Busy, func(Answer) bool { return true })
		rows = append(rows, report.Bin(string(d), values, 50, true, report.Mark{Name: "p50", X: measure.Median(values)}, report.Mark{Name: "p99", X: measure.Quantile(values, 0.99)}))
	}
	return report.Histogram("waiting", "How long new connections waited while one process was blocked",
		"From connect to the answer. What is far to the right waited until the disk was released, and would have waited as long as it was not: with SO_REUSEPORT, and with sockets passed in turn, about one in n.",
		report.Axis{Label: "time to the answer, ms", Log: true}, rows...)
}

// shareFigure draws who answers while nothing is blocked.
func shareFigure(all map[Design]*Result) (report.Figure, error) {
	var panels []report.Panel
	for _, d := range []Design{Shared, Passed, ReusePort} {
		r := all[d]
		weights := make([]float64, r.sharers())
		for i := range weights {
			weights[i] = 1 / float64(len(weights))
		}
		shares, err := predict.Shares(r.counts(r.Free), weights)
		if err != nil {
			return report.Figure{}, err
		}
		panels = append(panels, report.Panel{X: string(d), Y: "connections", Shares: shares})
	}
	return report.Shares("shares", "Who answers while nothing is blocked",
		"Connections by process, the busiest first. The kernel wakes one of the processes that wait for a shared socket (EPOLLEXCLUSIVE), and among idle ones it prefers some; the hash of SO_REUSEPORT is fair, as far as chance is (grey: 95 of 100 runs), and blind.", panels...)
}
