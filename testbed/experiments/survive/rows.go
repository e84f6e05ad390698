package survive

import (
	"slices"
	"time"

	"lbctl/testbed/report"
)

// rows are the lines of the tables of the report.
type rows struct{ changes, floods, load, cuts, others, flows, memory [][]any }

// tables are those of the report.
func (w rows) tables(kinds report.Table) []report.Table {
	return []report.Table{
		kinds,
		{Name: "changes", Rows: w.changes, Columns: []string{
			"change", "service", "kind", "replica", "ms to effect", "connections", "of these alive", "moved", "broken", "bound to end", "ended", "new", "not by the table"}},
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

// kinds is a table of how often each service was changed in each way.
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

// rows are a line for each change; what became of the connections stands in the last.
func (p *part) rows(n int) (lines [][]any) {
	for i, c := range p.changes {
		var replica any
		if c.replica >= 0 {
			replica = c.replica
		}
		line := []any{n, p.service.name, string(c.kind), replica, milliseconds(p.effects[i])}
		if f := p.found; i == len(p.changes)-1 {
			line = append(line, f.asked, f.asked-f.lost(), f.moved, f.broken, f.doomed, f.ended, f.opened, f.astray)
		} else {
			line = append(line, slices.Repeat([]any{nil}, 8)...)
		}
		lines = append(lines, line)
	}
	return lines
}

// milliseconds writes a time with the digits that matter.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

// seconds writes a time with the digits that matter.
func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond)) / float64(time.Second)
}
