package cli

import (
	"fmt"
	"io"
	"strings"

	"lbctl/control/api"
)

// ByHandText says what was set by hand on a replica: "down", "weight 5, draining until 2030-01-31T12:00:00Z".
func ByHandText(o api.Override) string {
	return valuesText(o.Weight, o.State, o.DrainUntil)
}

func valuesText(weight *int64, state, until string) string {
	var words []string
	if weight != nil {
		words = append(words, fmt.Sprintf("weight %d", *weight))
	}
	if until != "" {
		until = " until " + until
	}
	if state != "" {
		words = append(words, state+until)
	}
	return strings.Join(words, ", ")
}

// DeclaredText says what the configuration has in the place of an override.
func DeclaredText(o api.ReplicaOverride) string {
	d := o.Declared
	if d == nil {
		return ""
	}
	if o.Weight == nil {
		return valuesText(nil, d.State, d.DrainUntil)
	}
	if o.State == "" {
		return valuesText(d.Weight, "", "")
	}
	return valuesText(d.Weight, d.State, d.DrainUntil)
}

// overrideVerbs are how the verbs of api.OverrideChange read.
var overrideVerbs = map[string]string{"kept": "kept by hand", "set": "set by hand", "taken_back": "taken back", "removed": "gone with its replica"}

// PrintOverrides prints what a change does to what was set by hand, a line each:
// "kept by hand: web 10.1.0.1:8080 down (file: active)".
func PrintOverrides(w io.Writer, all []api.OverrideChange) {
	for _, o := range all {
		fmt.Fprintf(w, "%s: %s %s %s (file: %s)\n", overrideVerbs[o.Verb], o.ServiceName, o.Replica, ByHandText(o.Override), DeclaredText(o.ReplicaOverride))
	}
}
