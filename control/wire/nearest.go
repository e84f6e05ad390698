package wire

import (
	"slices"
	"strings"
)

// Nearest returns the known name that a misspelt one probably means: at most two letters off, and
// not a wholly different short one.
func Nearest(name string, known []string) (string, bool) {
	if len(known) == 0 {
		return "", false
	}
	near := slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
	d := distance(name, near)
	return near, d <= 2 && d < len(near)
}

// distance is the Levenshtein distance of two names, case aside: the number of letters to insert,
// remove or replace.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
