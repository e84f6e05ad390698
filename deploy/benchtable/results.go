package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// The benchmark, and its metric that the table shows: nanoseconds.
const (
	benchmark = "Datapath/"
	metric    = "above-swap-ns/packet"
)

// measurements are those of one run, by scenario: one of each round.
type measurements struct {
	machine machine
	rounds  int
	of      map[string][]float64
}

// read reads the output of the benchmark after the lines of a machine. name is that of the output, for errors.
func read(name string, output io.Reader) (m measurements, err error) {
	m.of = map[string][]float64{}
	lines, machineLines := benchfmt.NewReader(output, name), map[string]string{}
	for lines.Scan() {
		switch line := lines.Result().(type) {
		case *benchfmt.Result:
			if err := m.add(line); err != nil {
				file, at := line.Pos()
				return m, fmt.Errorf("%s:%d: %w", file, at, err)
			}
			for _, c := range line.Config {
				machineLines[c.Key] = string(c.Value)
			}
		case *benchfmt.SyntaxError:
			return m, fmt.Errorf("%w: a line that is cut off; measure again", line)
		}
	}
	if err := lines.Err(); err != nil {
		return m, err
	}
	if err := m.complete(); err != nil {
		return m, fmt.Errorf("%s: %w", name, err)
	}
	for key, set := range m.machine.setters() {
		value, found := machineLines[key]
		if !found {
			return m, fmt.Errorf("%s: no line %s: says where it was measured; measure with go run ./deploy/benchtable -save FILE", name, key)
		}
		if err := set(value); err != nil {
			return m, fmt.Errorf("%s: line %s: %w", name, key, err)
		}
	}
	return m, nil
}

// add adds the result of a scenario.
func (m measurements) add(r *benchfmt.Result) error {
	full := r.Name.String()
	scenario, is := strings.CutPrefix(withoutCores(full), benchmark)
	if !is {
		return fmt.Errorf("result Benchmark%s is none of a packet: run with -bench 'Datapath$'", full)
	}
	for _, v := range r.Values {
		if v.Unit == metric || v.OrigUnit == metric {
			m.of[scenario] = append(m.of[scenario], cmp.Or(v.OrigValue, v.Value))
			return nil
		}
	}
	return fmt.Errorf("result Benchmark%s has no %s: the benchmark reports it; measure again", full, metric)
}

// withoutCores returns a benchmark's name without GOMAXPROCS, which is there if it is not 1.
func withoutCores(full string) string {
	if at := strings.LastIndexByte(full, '-'); at >= 0 && strings.Trim(full[at+1:], "0123456789") == "" {
		return full[:at]
	}
	return full
}

// complete checks that every scenario has one result of each round.
func (m *measurements) complete() error {
	if len(m.of) == 0 {
		return errors.New("no result of BenchmarkDatapath: measure as root")
	}
	for _, values := range m.of {
		m.rounds = max(m.rounds, len(values))
	}
	for _, scenario := range slices.Sorted(maps.Keys(m.of)) {
		if n := len(m.of[scenario]); n != m.rounds {
			return fmt.Errorf("%s has %d results, others %d: a round has failed there or was cut off; measure again", scenario, n, m.rounds)
		}
	}
	return nil
}

// cell is the median of the rounds and, where they differ by a nanosecond, in brackets the least and the most.
func cell(values []float64) string {
	sorted := slices.Sorted(slices.Values(values))
	text := func(v float64) string { return fmt.Sprintf("%.0f", v) }
	least, middle, most := text(sorted[0]), text(sorted[len(sorted)/2]), text(sorted[len(sorted)-1])
	if least == most {
		return middle
	}
	return fmt.Sprintf("%s (%s-%s)", middle, least, most)
}
