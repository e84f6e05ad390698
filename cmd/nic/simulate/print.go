package simulate

import (
	"fmt"
	"io"
	"strings"
	"time"

	"lbctl/cmd/cli"
	"lbctl/testbed/report"
)

// print prints a row for each run, or a single run at length.
func (s answer) print(w io.Writer) {
	if len(s.Runs) == 1 {
		s.Runs[0].print(w)
		return
	}
	head := []any{"MODE"}
	if s.Parameter != "" {
		head = append(head, strings.ToUpper(s.Parameter))
	}
	cli.Row(w, append(head, "OFFERED/S", "DELIVERED/S", "LOSS", "P50", "P99", "P999", "IRQ/S", "PKT/IRQ", "CTXT/S", "IRQ%", "SOFTIRQ%", "APP%", "SWITCH%", "SPIN%", "IDLE%")...)
	for _, r := range s.Runs {
		cells := []any{r.Mode}
		if r.Value != nil {
			cells = append(cells, *r.Value)
		}
		cells = append(cells, perSecond(r.Rate), perSecond(r.Throughput), cli.Percent(r.Loss)+"%",
			brief(r.Latency.P50), brief(r.Latency.P99), brief(r.Latency.P999),
			perSecond(r.Interrupts), fmt.Sprintf("%.1f", r.PacketsPerInterrupt), perSecond(r.Switches))
		cli.Row(w, append(cells, r.Time.cells()...)...)
	}
}

// cells are the shares in percent, in the order of the heading.
func (t shares) cells() []any {
	return []any{cli.Percent(t.Interrupt), cli.Percent(t.packetWork()), cli.Percent(t.Application), cli.Percent(t.Switching), cli.Percent(t.Spin), cli.Percent(t.Idle)}
}

func (r run) print(w io.Writer) {
	cli.Row(w, "mode", r.Mode)
	cli.Row(w, "offered", fmt.Sprintf("%s packets/s, a load of %.3g", perSecond(r.Rate), r.Load))
	cli.Row(w, "delivered", perSecond(r.Throughput)+" packets/s")
	cli.Row(w, "lost", fmt.Sprintf("%s%% (%s at rings, %s at sockets)", cli.Percent(r.Loss), report.Cell(r.RingDrops), report.Cell(r.SocketDrops)))
	cli.Row(w, "latency", fmt.Sprintf("p50 %s, p99 %s, p999 %s, max %s", brief(r.Latency.P50), brief(r.Latency.P99), brief(r.Latency.P999), brief(r.Latency.Max)))
	cli.Row(w, "interrupts", fmt.Sprintf("%s/s, %.1f packets each", perSecond(r.Interrupts), r.PacketsPerInterrupt))
	cli.Row(w, "context switches", perSecond(r.Switches)+"/s")
	fmt.Fprintln(w)
	cli.Row(w, "CORE", "DELIVERED/S", "IRQ/S", "CTXT/S", "IRQ%", "SOFTIRQ%", "APP%", "SWITCH%", "SPIN%", "IDLE%")
	for _, c := range r.Cores {
		cli.Row(w, append([]any{c.Core, perSecond(c.Throughput), perSecond(c.Interrupts), perSecond(c.Switches)}, c.Time.cells()...)...)
	}
	fmt.Fprintln(w)
	cli.Row(w, "QUEUE", "CORE", "OFFERED", "DELIVERED", "RING DROPS", "SOCKET DROPS", "RING MAX", "USECS", "P50", "P99")
	for _, q := range r.Queues {
		cli.Row(w, q.Queue, q.Core, report.Cell(q.Offered), report.Cell(q.Delivered), report.Cell(q.RingDrops), report.Cell(q.SocketDrops),
			q.Highest, q.Usecs, brief(q.Latency.P50), brief(q.Latency.P99))
	}
}

func perSecond(v float64) string { return report.Cell(int64(v + 0.5)) }

// brief writes a time with three digits; 0, the latency of no packet, is "-".
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
