package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"lbctl/testbed/report"
)

// print writes the answer for a reader: a row for each run, or one run at length.
func (s simulateAnswer) print(w io.Writer) {
	if len(s.Runs) == 1 {
		s.Runs[0].print(w)
		return
	}
	head := []any{"MODE"}
	if s.Parameter != "" {
		head = append(head, strings.ToUpper(s.Parameter))
	}
	row(w, append(head, "OFFERED/S", "DELIVERED/S", "LOSS", "P50", "P99", "P999", "IRQ/S", "PKT/IRQ", "CTXT/S", "IRQ%", "SOFTIRQ%", "APP%", "SWITCH%", "SPIN%", "IDLE%")...)
	for _, r := range s.Runs {
		cells := []any{r.Mode}
		if r.Value != nil {
			cells = append(cells, *r.Value)
		}
		cells = append(cells, perSecond(r.Rate), perSecond(r.Throughput), percent(r.Loss)+"%",
			brief(r.Latency.P50), brief(r.Latency.P99), brief(r.Latency.P999),
			perSecond(r.Interrupts), fmt.Sprintf("%.1f", r.PacketsPerInterrupt), perSecond(r.Switches))
		row(w, append(cells, r.Time.cells()...)...)
	}
}

// cells are the shares in percent, in the order of the heading.
func (t simulateTime) cells() []any {
	return []any{percent(t.Interrupt), percent(t.packetWork()), percent(t.Application), percent(t.Switching), percent(t.Spin), percent(t.Idle)}
}

func (r simulateRun) print(w io.Writer) {
	row(w, "mode", r.Mode)
	row(w, "offered", fmt.Sprintf("%s packets/s, a load of %.3g", perSecond(r.Rate), r.Load))
	row(w, "delivered", perSecond(r.Throughput)+" packets/s")
	row(w, "lost", fmt.Sprintf("%s%% (%s at rings, %s at sockets)", percent(r.Loss), report.Cell(r.RingDrops), report.Cell(r.SocketDrops)))
	row(w, "latency", fmt.Sprintf("p50 %s, p99 %s, p999 %s, max %s", brief(r.Latency.P50), brief(r.Latency.P99), brief(r.Latency.P999), brief(r.Latency.Max)))
	row(w, "interrupts", fmt.Sprintf("%s/s, %.1f packets each", perSecond(r.Interrupts), r.PacketsPerInterrupt))
	row(w, "context switches", perSecond(r.Switches)+"/s")
	fmt.Fprintln(w)
	row(w, "CORE", "DELIVERED/S", "IRQ/S", "CTXT/S", "IRQ%", "SOFTIRQ%", "APP%", "SWITCH%", "SPIN%", "IDLE%")
	for _, c := range r.Cores {
		row(w, append([]any{c.Core, perSecond(c.Throughput), perSecond(c.Interrupts), perSecond(c.Switches)}, c.Time.cells()...)...)
	}
	fmt.Fprintln(w)
	row(w, "QUEUE", "CORE", "OFFERED", "DELIVERED", "RING DROPS", "SOCKET DROPS", "RING MAX", "USECS", "P50", "P99")
	for _, q := range r.Queues {
		row(w, q.Queue, q.Core, report.Cell(q.Offered), report.Cell(q.Delivered), report.Cell(q.RingDrops), report.Cell(q.SocketDrops),
			q.Highest, q.Usecs, brief(q.Latency.P50), brief(q.Latency.P99))
	}
}

func perSecond(v float64) string { return report.Cell(int64(v + 0.5)) }

func percent(share float64) string { return fmt.Sprintf("%.1f", 100*share) }

// brief writes a time with three digits; that of no packet is none.
func brief(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}
