package spread

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"lbctl/lb"
	"lbctl/rss/packet"
	"lbctl/testbed/predict"
	"lbctl/testbed/report"
	"lbctl/testbed/traffic"
)

// Figures draws the main run, and beside it the control over one connection.
func Figures(e Evidence, single Evidence, m predict.Model) ([]report.Figure, error) {
	t := newTally(e)
	var figures []report.Figure
	for _, draw := range []func() (report.Figure, error){
		func() (report.Figure, error) { return t.hops(m) },
		func() (report.Figure, error) {
			return t.heatMap("objects", "Who served what", fmt.Sprintf(
				"Requests by object and replica. Each object was asked for over many connections, and every replica had to serve it: no object belongs to one replica. %s requests over %s connections.",
				report.Cell(len(t.Requests)), report.Cell(len(t.connections))))
		},
		func() (report.Figure, error) {
			return newTally(single).heatMap("objects-one-connection", "The same over one connection",
				"The control: one keep-alive connection asked for every object once. Its packets have one 4-tuple, and one replica served them all.")
		},
		func() (report.Figure, error) { return t.growth(m) },
		func() (report.Figure, error) { return t.shares(m) },
		func() (report.Figure, error) { return t.matrix(m) },
	} {
		figure, err := draw()
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure)
	}
	return figures, nil
}

// heatMap draws requests by object and replica.
func (t tally) heatMap(name, title, caption string) (report.Figure, error) {
	matrix := report.Matrix{
		X: "object", Y: "replica", Unit: "requests",
		Columns: numbers(t.Objects), Rows: numbers(len(t.Replicas)),
	}
	for _, row := range t.objects().requests {
		counts := make([]float64, len(row))
		for i, n := range row {
			counts[i] = float64(n)
		}
		matrix.Counts = append(matrix.Counts, counts)
	}
	return report.HeatMap(name, title, caption, matrix)
}

// matrix draws connections by queue and replica.
func (t tally) matrix(m predict.Model) (report.Figure, error) {
	matrix := report.Matrix{
		X: "receive queue", Y: "replica", Unit: "connections",
		Columns: numbers(m.NIC.Config().Table.Queues()), Rows: numbers(len(t.Replicas)),
	}
	for range matrix.Rows {
		matrix.Counts = append(matrix.Counts, make([]float64, len(matrix.Columns)))
	}
	for _, c := range t.connections {
		if c.seen == nil {
			continue
		}
		for _, r := range c.replicas() {
			for q := range c.seen.Queues {
				if r >= 0 && r < len(matrix.Rows) && int(q) < len(matrix.Columns) {
					matrix.Counts[r][q]++
				}
			}
		}
	}
	caption := "The NIC and the load balancer hash the same 4-tuple, and make of the hash what has nothing in common: every queue feeds every replica."
	if m.Service.Hash == lb.ToeplitzHash && m.Service.Scheduler == lb.Modulo {
		caption = "The NIC and the load balancer hash the same 4-tuple by the same function with the same key: the queue says much about the replica, and where the numbers of both have a common divisor some cells stay empty (polarisation)."
	}
	return report.HeatMap("queue-replica", "Queue against replica",
		"Connections by the receive queue that they came on and the replica that they went to. "+caption, matrix)
}

// perQueue returns the number of connections seen on each queue.
func (t tally) perQueue(queues int) []int {
	counts := make([]int, queues)
	for _, c := range t.connections {
		if c.seen == nil {
			continue
		}
		for q := range c.seen.Queues {
			if int(q) < queues {
				counts[q]++
			}
		}
	}
	return counts
}

// shares draws how connections fell on queues and on replicas.
func (t tally) shares(m predict.Model) (report.Figure, error) {
	weights := m.NIC.Config().Table.Shares()
	queues, err := predict.Shares(t.perQueue(len(weights)), weights)
	if err != nil {
		return report.Figure{}, err
	}
	replicas, err := predict.Shares(t.objects().connections, m.ReplicaShares())
	if err != nil {
		return report.Figure{}, err
	}
	return report.Shares("shares", "The shares of queues and replicas",
		fmt.Sprintf("Connections by receive queue and by replica. Dashed: what each is meant to get of %s. Grey: where chance alone keeps it in %g of 100 runs, one at a time.", report.Cell(len(t.connections)), 100*predict.Band),
		report.Panel{X: "receive queue", Y: "connections", Shares: queues},
		report.Panel{X: "replica", Y: "connections", Shares: replicas})
}

// growth draws how many replicas have served an object after its first r connections,
// averaged over the objects that r connections asked for.
func (t tally) growth(m predict.Model) (report.Figure, error) {
	n, most := float64(len(t.Replicas)), 6*len(t.Replicas)
	weights := m.ReplicaShares()
	measured := report.Series{Name: "measured, mean over the objects", Style: report.Dots}
	for r, mean := range t.firstReplicas(most) {
		measured.Points = append(measured.Points, report.Point{X: float64(r + 1), Y: mean})
	}
	expected := report.Curve("by chance, N(1 - (1 - 1/N)^r)", 0, float64(most), func(r float64) float64 {
		sum := 0.0
		for _, w := range weights {
			sum += 1 - math.Pow(1-w, r)
		}
		return sum
	})
	return report.Lines("growth", "How an object spreads",
		fmt.Sprintf("Replicas that have served an object after r connections have asked for it, averaged over %d objects, against what chance makes of %d replicas. Already the second connection comes to another replica %d times in %d.", t.Objects, len(t.Replicas), len(t.Replicas)-1, len(t.Replicas)),
		report.Chart{
			X:      report.Axis{Label: "connections that have asked for the object, r", Max: float64(most) * 1.02},
			Y:      report.Axis{Label: "replicas that have served it", Max: n * 1.08},
			Series: []report.Series{measured, expected},
		})
}

// firstReplicas returns, for r from 1 on, how many different replicas served an object over
// the first r connections that asked for it, averaged over the objects that have so many.
func (t tally) firstReplicas(most int) []float64 {
	sum, objects := make([]float64, most), make([]float64, most)
	requests := slices.Clone(t.Requests)
	slices.SortStableFunc(requests, func(a, b traffic.Request) int { return a.Connection - b.Connection })
	for object := range t.Objects {
		askers, replicas := map[packet.Flow]bool{}, map[int]bool{}
		for _, r := range requests {
			if r.Object != object || r.Status == 0 || askers[r.Flow] || len(askers) == most {
				continue
			}
			askers[r.Flow], replicas[r.Replica] = true, true
			sum[len(askers)-1] += float64(len(replicas))
			objects[len(askers)-1]++
		}
	}
	var means []float64
	for r := range most {
		if objects[r] > 0 {
			means = append(means, sum[r]/objects[r])
		}
	}
	return means
}

// numbers returns the names of so many things that are numbered from 0.
func numbers(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}
