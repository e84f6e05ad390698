package simulate

import (
	"fmt"
	"math"
	"time"

	"lbctl/cmd/cli"
	"lbctl/testbed/report"
)

// write writes the runs as a report with figures.
func write(dir string, parameters map[string]any, s answer) error {
	figures, err := s.figures()
	if err != nil {
		return err
	}
	delete(parameters, "seed")
	return cli.WriteReport(dir, "simulation", report.Result{
		Experiment: "rss simulate", Seed: s.Seed, Parameters: parameters, Checks: s.checks(), Tables: s.tables(),
	}, figures...)
}

// checks must pass for every simulation.
func (s answer) checks() []report.Check {
	var offered, accounted uint64
	worst := 0.0
	for _, r := range s.Runs {
		offered += r.Offered
		accounted += r.Delivered + r.RingDrops + r.SocketDrops
		for _, c := range r.Cores {
			t := c.Time
			sum := t.Interrupt + t.packetWork() + t.Spin + t.Application + t.Switching + t.Idle
			worst = max(worst, sum-1, 1-sum)
		}
	}
	return []report.Check{
		{
			Name: "every-packet-once", Pass: accounted == offered, Measured: accounted, Expected: offered,
			Detail: "The packets delivered, dropped at a ring and dropped at a socket sum to those offered.",
		},
		{
			Name: "every-nanosecond-once", Pass: worst < 1e-9, Measured: math.Round(worst*1e9) / 1e9, Expected: 0.0,
			Detail: "The parts of each core's time sum to the time simulated: the greatest difference, relative.",
		},
	}
}

// tables are the figures of the runs, and the queues of the last one.
func (s answer) tables() []report.Table {
	runs := report.Table{Name: "runs", Columns: []string{"mode", s.parameter(), "offered/s", "delivered/s", "loss %", "mean us", "p50 us", "p99 us", "p999 us", "max us", "interrupts/s", "packets/interrupt", "switches/s"}}
	times := report.Table{Name: "where the time goes, in %", Columns: []string{"mode", s.parameter(), "interrupt", "softirq", "ksoftirqd", "busy poll", "application", "switching", "spin", "idle"}}
	us := func(d time.Duration) any { return float64(d) / 1e3 }
	for _, r := range s.Runs {
		runs.Rows = append(runs.Rows, []any{
			string(r.Mode), r.x(), int64(r.Rate), int64(r.Throughput), 100 * r.Loss, r.Latency.Mean / 1e3, us(r.Latency.P50), us(r.Latency.P99),
			us(r.Latency.P999), us(r.Latency.Max), int64(r.Interrupts), r.PacketsPerInterrupt, int64(r.Switches),
		})
		row := []any{string(r.Mode), r.x()}
		for _, share := range r.Time.parts() {
			row = append(row, 100*share)
		}
		times.Rows = append(times.Rows, row)
	}
	return []report.Table{runs, times, s.Runs[len(s.Runs)-1].queueTable()}
}

func (r run) queueTable() report.Table {
	t := report.Table{
		Name:    fmt.Sprintf("queues of the last run (%s)", r.Mode),
		Columns: []string{"queue", "core", "offered", "delivered", "ring drops", "socket drops", "ring max", "interrupts/s", "p50 us", "p99 us"},
	}
	for _, q := range r.Queues {
		t.Rows = append(t.Rows, []any{
			int(q.Queue), q.Core, q.Offered, q.Delivered, q.RingDrops, q.SocketDrops, q.Highest, int64(q.Interrupts),
			float64(q.Latency.P50) / 1e3, float64(q.Latency.P99) / 1e3,
		})
	}
	return t
}

// parts are the shares by activity, as timeParts names them.
func (t shares) parts() []float64 {
	return []float64{t.Interrupt, t.Softirq, t.Ksoftirqd, t.BusyPoll, t.Application, t.Switching, t.Spin, t.Idle}
}

func timeParts() []string {
	return []string{"interrupt", "softirq", "ksoftirqd", "busy poll", "application", "switching", "spin", "idle"}
}

// parameter is the name of what differs between the runs of a mode.
func (s answer) parameter() string {
	if s.Parameter == "" {
		return "load"
	}
	return s.Parameter
}

// x is the value of the parameter.
func (r run) x() float64 {
	if r.Value == nil {
		return r.Load
	}
	return *r.Value
}
