package survive

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lbctl/testbed/helper"
	"lbctl/testbed/report"
)

// rows are the lines of the tables of the report.
type rows struct{ changes, floods, load, cuts, others, flows, memory [][]any }

// tables returns the tables of the report.
func (w rows) tables(kinds report.Table) []report.Table {
	return []report.Table{
		kinds,
		{Name: "changes", Rows: w.changes, Columns: []string{
			"change", "service", "kind", "replica", "ms to effect", "connections", "of these alive", "moved", "unanswered", "must break", "broke", "new", "not by the table"}},
		{Name: "floods", Rows: w.floods, Columns: []string{
			"flood", "frames", "seconds", "frames/s", "packets at replicas", "found a link full", "changes", "rounds of messages", "connections asked", "lost",
			"new ones", "not opened", "new ones asked", "of these lost"}},
		{Name: "new connections to another service", Rows: w.others, Columns: []string{
			"during", "connections", "failed", "median ms", "p99 ms", "longest ms"}},
		{Name: "load", Rows: w.load, Columns: []string{
			"what", "times", "frames", "taken by replicas", "found a link full", "lost", "seconds", "ms each"}},
		{Name: "applies cut short", Rows: w.cuts, Columns: []string{
			"kill", "ms after the start", "answered as done", "table of sink", "table of other", "intended after the next start"}},
		{Name: "what is remembered", Rows: w.flows, Columns: []string{
			"after", "service", "tracking", "slots", "of these in transition", "established flows", "half-open flows"}},
		{Name: "memory in MiB", Rows: w.memory, Columns: []string{
			"after", "connections", "daemon", "daemon at most", "tables in the kernel", "clients", "replicas"}},
	}
}

// kinds is a table: how often each service was changed in each way.
func (r *run) kinds() report.Table {
	t := report.Table{Name: "kinds of changes", Columns: []string{"kind"}}
	for _, s := range r.changed() {
		t.Columns = append(t.Columns, s.name)
	}
	for _, k := range every() {
		line := []any{string(k)}
		for _, s := range r.changed() {
			line = append(line, r.planner.used[use{s.name, k}])
		}
		t.Rows = append(t.Rows, line)
	}
	return t
}

// rows returns a line for each change. The last line says what became of the connections.
func (p *part) rows(n int) (lines [][]any) {
	for i, c := range p.changes {
		var replica any
		if c.replica >= 0 {
			replica = c.replica
		}
		line := []any{n, p.service.name, string(c.kind), replica, milliseconds(p.effects[i])}
		if f := p.found; i == len(p.changes)-1 {
			line = append(line, f.asked, f.asked-f.lost(), f.moved, f.unanswered, f.mustBreak, f.broke, f.opened, f.misplaced)
		} else {
			line = append(line, slices.Repeat([]any{nil}, 8)...)
		}
		lines = append(lines, line)
	}
	return lines
}

// milliseconds rounds a time for a reader.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

// seconds rounds a time for a reader.
func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond)) / float64(time.Second)
}

// record records what the load balancer remembers of flows after an arm, and the memory of all processes.
func (r *run) record(ctx context.Context, after string) error {
	all, err := r.cluster.Control().Flows(ctx)
	if err != nil {
		return fmt.Errorf("ask what is remembered of flows: %w", err)
	}
	for _, s := range all.Services {
		if s.Name == r.sink.name || s.Name == r.untracked.name {
			continue
		}
		var established, halfOpen uint64
		for _, replica := range s.Replicas {
			established, halfOpen = established+replica.FlowCounts.Established, halfOpen+replica.FlowCounts.HalfOpen
		}
		r.rows.flows = append(r.rows.flows, []any{after, s.Name, s.Tracking, s.Slots, s.SlotsInTransition, established, halfOpen})
	}
	return r.recordMemory(after)
}

// recordMemory records the memory of daemon, clients and replicas.
func (r *run) recordMemory(after string) error {
	daemon, err := r.cluster.Product().Memory()
	if err != nil {
		return err
	}
	line := []any{after, len(r.held), megabytes(daemon.Resident), megabytes(daemon.Peak), megabytes(daemon.Tables)}
	var clients []*helper.Process
	for _, h := range r.holders {
		clients = append(clients, h.Process)
	}
	for _, all := range [][]*helper.Process{clients, r.servers} {
		var sum uint64
		for _, p := range all {
			m, err := p.Memory()
			if err != nil {
				return err
			}
			sum += m.Resident
		}
		line = append(line, megabytes(sum))
	}
	r.rows.memory = append(r.rows.memory, line)
	return nil
}

// megabytes writes a size in MiB.
func megabytes(bytes uint64) float64 { return float64(bytes*10>>20) / 10 }
