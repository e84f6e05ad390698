package replica

import (
	"math"
	"testing"
	"time"

	"lbctl/cmd/cli"
)

// RestartPolls is for the tests beside the package.
const RestartPolls = restartPolls

// TestDrainOfTheLongestSpan: the end of the longest time span is far away, and not in the past.
func TestDrainOfTheLongestSpan(t *testing.T) {
	for span, want := range map[time.Duration]string{
		math.MaxInt64: "2322-05-13T11:47:17Z", math.MaxInt64 - 1: "2322-05-13T11:47:17Z", 1: "2030-01-31T12:00:01Z",
	} {
		c := drainCommand(&cli.App{})
		if err := c.Flags().Set("for", span.String()); err != nil {
			t.Fatal(err)
		}
		f := &drainFlag{span: span}
		got, err := f.deadline(c, time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC))
		if err != nil || got != want {
			t.Errorf("--for %v ends at %s, %v; want %s", span, got, err, want)
		}
	}
}
