package lab

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/testbed/experiment"
	"lbctl/testbed/experiments/live"
	"lbctl/testbed/experiments/peers"
)

var update = flag.Bool("update", false, "write the golden file of TestBounds")

// next returns the numbers before and after one, as texts.
func next(text string) (before, after string, err error) {
	if n, err := strconv.Atoi(text); err == nil {
		return strconv.Itoa(n - 1), strconv.Itoa(n + 1), nil
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return fmt.Sprint(math.Nextafter(f, math.Inf(-1))), fmt.Sprint(math.Nextafter(f, math.Inf(1))), nil
	}
	d, err := time.ParseDuration(text)
	return (d - 1).String(), (d + 1).String(), err
}

// TestBounds: every parameter of every experiment and benchmark takes both of its bounds and nothing next to them, and
// the bounds are those of the golden file, so that none moves unseen.
func TestBounds(t *testing.T) {
	var table strings.Builder
	all := append(All(), live.Experiment(), peers.Experiment())
	slices.SortFunc(all, func(a, b experiment.Experiment) int { return strings.Compare(a.Name, b.Name) })
	for _, e := range all {
		for _, p := range e.Trial().Parameters().List() {
			fmt.Fprintf(&table, "%s %s: %s to %s, default %s, quick %s, full %s\n", e.Name, p.Name, p.Low, p.High, p.Default, p.Quick, p.Full)
			if p.High == "" {
				continue
			}
			under, _, err := next(p.Low)
			if err != nil {
				t.Fatalf("%s %s: %v", e.Name, p.Name, err)
			}
			_, over, err := next(p.High)
			if err != nil {
				t.Fatalf("%s %s: %v", e.Name, p.Name, err)
			}
			for value, taken := range map[string]bool{p.Low: true, p.High: true, under: false, over: false} {
				err := e.Trial().Parameters().Set(p.Name + "=" + value)
				if (err == nil) != taken || err != nil && !errors.Is(err, experiment.ErrParameter) {
					t.Errorf("%s %s=%s, from %s to %s: %v", e.Name, p.Name, value, p.Low, p.High, err)
				}
			}
		}
	}
	golden := filepath.Join("testdata", "parameters.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(table.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), table.String()); diff != "" {
		t.Errorf("bounds have moved (go test ./testbed/lab -run TestBounds -update writes them), -golden +now:\n%s", diff)
	}
}
