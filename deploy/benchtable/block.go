package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The lines of the page before and after the block.
const (
	begin = "<!-- written by go run ./deploy/benchtable: change its rows, not these -->\n"
	end   = "<!-- end of what deploy/benchtable writes -->\n"
)

// block returns what stands between the lines. Errors: a scenario without a cell, a cell without its scenario.
func (m measurements) block() (string, error) {
	var b strings.Builder
	of := fmt.Sprintf("the median of %d rounds, in brackets the least and the most of them", m.rounds)
	if m.rounds == 1 {
		of = "of one round"
	}
	fmt.Fprintf(&b, "%v. Nanoseconds a packet: %s.\n", m.machine, of)
	shown := map[string]bool{}
	for _, t := range tables() {
		fmt.Fprintf(&b, "\n%s%s", line(t.columns), strings.Repeat("|---", len(t.columns))+"|\n")
		for _, r := range t.rows {
			cells := []string{r.packet}
			for _, scenario := range r.scenarios {
				values, measured := m.of[scenario]
				switch {
				case scenario == "":
					cells = append(cells, "")
				case !measured:
					return "", fmt.Errorf("%s was not measured, of the row %q in deploy/benchtable/rows.go: measure all of BenchmarkDatapath, or remove the row with the scenario", scenario, r.packet)
				default:
					cells, shown[scenario] = append(cells, cell(values)), true
				}
			}
			b.WriteString(line(cells))
		}
	}
	for _, scenario := range slices.Sorted(maps.Keys(m.of)) {
		if !shown[scenario] {
			return "", fmt.Errorf("%s was measured and is in no row: give it one in deploy/benchtable/rows.go", scenario)
		}
	}
	return b.String(), nil
}

// line is a line of a table.
func line(cells []string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

// replace returns the page with another block.
func replace(page []byte, block string) ([]byte, error) {
	before, rest, begins := bytes.Cut(page, []byte(begin))
	_, after, ends := bytes.Cut(rest, []byte(end))
	if !begins || !ends {
		return nil, fmt.Errorf("no line %s, and after it %s: put both where the table shall be", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return slices.Concat(before, []byte(begin), []byte(block), []byte(end), after), nil
}
