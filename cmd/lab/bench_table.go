package lab

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"lbctl/testbed/report"
)

// writeTable writes a table of a report for a terminal: its name, its columns, its rows, and an empty
// line. Numbers are flush right.
func writeTable(w io.Writer, t report.Table) error {
	lines := [][]string{t.Columns}
	for _, cells := range t.Rows {
		line := make([]string, len(cells))
		for i, c := range cells {
			line[i] = report.Cell(c)
		}
		lines = append(lines, line)
	}
	widths := make([]int, len(t.Columns))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	b.WriteString(t.Name + "\n")
	for _, line := range lines {
		for i, cell := range line {
			line[i] = fmt.Sprintf("%-*s", widths[i], cell)
			if t.Numeric(i) {
				line[i] = fmt.Sprintf("%*s", widths[i], cell)
			}
		}
		b.WriteString("  " + strings.TrimRight(strings.Join(line, "  "), " ") + "\n")
	}
	if _, err := io.WriteString(w, b.String()+"\n"); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}
