package wire

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Nearest returns the known name that a misspelt one probably means: at most two letters inserted, removed or
// replaced, case aside, and not a wholly different short one.
func Nearest(name string, known []string) (string, bool) {
	if len(known) == 0 {
		return "", false
	}
	distance := func(to string) int { return levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(to)) }
	near := slices.MinFunc(known, func(a, b string) int { return distance(a) - distance(b) })
	d := distance(near)
	return near, d <= 2 && d < len(near)
}
