package doctor

import (
	"cmp"
	"slices"
)

// Severity says what a finding means for the packets.
type Severity string

const (
	// Problem: packets are lost, go astray, or the interface cannot be attached.
	Problem Severity = "problem"
	// Warning: it works, slower or only for some packets.
	Warning Severity = "warning"
	// Unknown: it cannot be seen from here.
	Unknown Severity = "unknown"
	// OK: as it should be.
	OK Severity = "ok"
)

// Severities returns all of them, the worst first.
func Severities() []Severity { return []Severity{Problem, Warning, Unknown, OK} }

// Finding is what one check says of one subject. Scripts rely on its names.
type Finding struct {
	// Name is the check's.
	Name string `json:"name"`
	// Subject is an interface, a VIP, a replica, or "host".
	Subject  string   `json:"subject"`
	Severity Severity `json:"severity"`
	// Seen is what was found, Why what depends on it.
	Seen string `json:"seen"`
	Why  string `json:"why"`
	// Cure is a shell command, or a comment of the shell where no command does it. Empty if all is well.
	Cure string `json:"cure,omitempty"`
	// Where is the place to run it; empty: here.
	Where string `json:"where,omitempty"`
}

// Count returns how many findings have a severity.
func Count(all []Finding, s Severity) int {
	n := 0
	for _, f := range all {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// worstFirst sorts by severity and leaves the rest in order.
func worstFirst(all []Finding) {
	order := Severities()
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Compare(slices.Index(order, a.Severity), slices.Index(order, b.Severity))
	})
}
