package simulate

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
)

// sweepValues is a flag and its values as text; without a name it is one run.
type sweepValues struct {
	name   string
	values []string
}

// sweepable returns the flags that --sweep can set.
func sweepable() []string {
	return []string{"load", "rate", "queues", "table", "cores", "ring", "socket-queue", "usecs", "frames", "flows", "skew", "elephants", "elephant-share", "app-share", "budget", "netdev-budget"}
}

// The largest and the default number of values of a sweep.
const (
	maxSteps     = 1000
	defaultSteps = 10
)

// parseSweep reads "load=0.1..1.5:15": evenly spaced values, both ends included. The values of
// an integer flag are rounded, without duplicates.
func parseSweep(c *cobra.Command, s string) (sweepValues, error) {
	if s == "" {
		return sweepValues{values: []string{""}}, nil
	}
	name, rest, _ := strings.Cut(s, "=")
	if !slices.Contains(sweepable(), name) {
		return sweepValues{}, cli.Usage(c, "--sweep: %q is not a flag to sweep", name).OrNearest(name, sweepable(), "")
	}
	if c.Flags().Changed(name) {
		return sweepValues{}, cli.Usage(c, "--sweep %s and --%s: want one of them", name, name)
	}
	low, high, steps, ok := parseRange(rest)
	if !ok {
		return sweepValues{}, cli.Usage(c, "--sweep: %q: want NAME=FROM..TO:STEPS with FROM below TO and 2 to %d STEPS", s, maxSteps)
	}
	whole := c.Flags().Lookup(name).Value.Type() == "int"
	sweep := sweepValues{name: name}
	for i := range steps {
		v := low + (high-low)*float64(i)/float64(steps-1)
		// ten digits, so that 0.1 + 0.2 is 0.3
		word := strconv.FormatFloat(v, 'g', 10, 64)
		if whole {
			word = strconv.FormatFloat(math.Round(v), 'f', 0, 64)
		}
		if !slices.Contains(sweep.values, word) {
			sweep.values = append(sweep.values, word)
		}
	}
	return sweep, nil
}

// parseRange reads "0.1..1.5:15"; ":15" may be left out.
func parseRange(s string) (low, high float64, steps int, ok bool) {
	ends, number, counted := strings.Cut(s, ":")
	from, to, _ := strings.Cut(ends, "..")
	low, lowErr := strconv.ParseFloat(from, 64)
	high, highErr := strconv.ParseFloat(to, 64)
	steps = defaultSteps
	var stepsErr error
	if counted {
		steps, stepsErr = strconv.Atoi(number)
	}
	ok = lowErr == nil && highErr == nil && stepsErr == nil && low < high &&
		!math.IsInf(low, 0) && !math.IsInf(high, 0) && steps >= 2 && steps <= maxSteps
	return low, high, steps, ok
}
