// Package report is the result of an experiment and its three forms: report.json,
// one self-contained report.html with plots, and a summary for the terminal.
package report

import "slices"

// Result is what an experiment found: report.json, whose shape scripts rely on.
type Result struct {
	Experiment string `json:"experiment"`
	// Problem is the problem of the problem set: "5a, 10".
	Problem string `json:"problem"`
	// Pass is true when every check passed and every control flipped its check.
	Pass        bool           `json:"pass"`
	Seed        uint64         `json:"seed"`
	Environment Environment    `json:"environment"`
	Parameters  map[string]any `json:"parameters"`
	Checks      []Check        `json:"checks"`
	// A result without controls is no experiment but an answer in numbers: its page has no verdict.
	// Controls are arms in which something was broken on purpose: a control passes when
	// the check it names failed there as it must.
	Controls []Check  `json:"controls"`
	Tables   []Table  `json:"tables"`
	Figures  []string `json:"figures"`
}

// Check compares what was measured with what was expected.
type Check struct {
	Name     string `json:"name"`
	Pass     bool   `json:"pass"`
	Measured any    `json:"measured"`
	Expected any    `json:"expected"`
	// Detail is one sentence for a reader: of how many, with which numbers.
	Detail string `json:"detail"`
}

// Passed reports whether every check of all lists passed.
func Passed(lists ...[]Check) bool {
	for _, list := range lists {
		if slices.ContainsFunc(list, func(c Check) bool { return !c.Pass }) {
			return false
		}
	}
	return true
}

// Table is a named table of the report.
type Table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
}

// Environment is where it ran.
type Environment struct {
	Time    string `json:"time"`
	Host    string `json:"host"`
	Kernel  string `json:"kernel"`
	CPU     string `json:"cpu"`
	CPUs    int    `json:"cpus"`
	Go      string `json:"go"`
	Version string `json:"version"`
	Commit  string `json:"commit"`
	// Rig is how frames came to queues: "softnic". XDP is "native" or "generic".
	Rig string `json:"rig"`
	XDP string `json:"xdp"`
}
