package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// machineOf returns a take of a machine with 2 cores, on which in window i a process of others uses a share
// others[i] of the time of both, and the last share from then on.
func machineOf(others ...float64) func() (Snapshot, error) {
	var last Snapshot
	n := -1
	return func() (Snapshot, error) {
		now := Snapshot{at: time.Now(), machine: machine{cores: 2, idle: last.machine.idle}}
		if n >= 0 {
			passed := 2 * now.at.Sub(last.at)
			now.machine.idle += time.Duration((1 - others[min(n, len(others)-1)]) * float64(passed))
		}
		n++
		last = now
		return now, nil
	}
}

// sleeper is an arm that takes a second and measures v plus the number of its round.
func sleeper(name string, v float64, most int) Arm[float64] {
	return Arm[float64]{Name: name, Most: most, Run: func(_ context.Context, t Turn) (float64, error) {
		time.Sleep(time.Second)
		return v + float64(t.Round), nil
	}}
}

func itself(v float64) float64 { return v }

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns []string
		p := Plan{Seed: 1, Rounds: 3, Warmup: 1, take: machineOf(0), Progress: func(t Turn) {
			turns = append(turns, fmt.Sprint(t.Arm, t.Round))
		}}
		r, err := Run(t.Context(), p, sleeper("a", 10, 0), sleeper("b", 20, 0), sleeper("c", 30, 2))
		if err != nil {
			t.Fatal(err)
		}
		if len(turns) != 3+3+3+2 || !strings.HasSuffix(turns[0], "-1") {
			t.Errorf("turns %v", turns)
		}
		if diff := cmp.Diff([]float64{10, 11, 12}, r.All("a")); diff != "" {
			t.Errorf("arm a (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(Sample{Values: []float64{-20, -20}}, r.Pairs("a", "c", itself, Difference)); diff != "" {
			t.Errorf("pairs (-want +got):\n%s", diff)
		}
		sum := func(m []float64) float64 { return m[0] + m[1] + m[2] }
		if diff := cmp.Diff(Sample{Values: []float64{60, 63}}, r.Combine([]string{"a", "b", "c"}, sum)); diff != "" {
			t.Errorf("combined (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(Sample{Values: []float64{20, 21, 22}}, r.Sample("b", itself)); diff != "" {
			t.Errorf("sample (-want +got):\n%s", diff)
		}
	})
}

// TestNoisyRounds: they are replaced by others and left out, by their noise alone; where too many are noisy the
// sample says so.
func TestNoisyRounds(t *testing.T) {
	for name, tt := range map[string]struct {
		noise   []float64
		values  []float64
		exclude int
		unquiet bool
	}{
		"quiet":           {[]float64{0.04, 0, 0}, []float64{0, 1, 2, 3, 4, 5, 6, 7}, 0, false},
		"one":             {[]float64{0, 0.3, 0}, []float64{0, 2, 3, 4, 5, 6, 7, 8}, 1, false},
		"the replacement": {[]float64{0, 0, 0, 0, 0, 0, 0, 0.1, 0.1, 0}, []float64{0, 1, 2, 3, 4, 5, 6, 9}, 2, false},
		"all":             {[]float64{0.1}, []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, err := Run(t.Context(), Plan{Rounds: 8, take: machineOf(tt.noise...)}, sleeper("a", 0, 0))
				if err != nil {
					t.Fatal(err)
				}
				s := r.Sample("a", itself)
				if diff := cmp.Diff(tt.values, s.Values); diff != "" || s.Excluded != tt.exclude || (s.Unquiet != "") != tt.unquiet {
					t.Errorf("%d excluded, unquiet %q, values (-want +got):\n%s", s.Excluded, s.Unquiet, diff)
				}
				if tt.unquiet && !strings.Contains(s.Unquiet, "10 of 10 rounds") {
					t.Error(s.Unquiet)
				}
			})
		})
	}
}

// TestBudget: rounds go on until the time is over; rounds shorter than a window share its noise.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		short := Arm[float64]{Name: "a", Run: func(context.Context, Turn) (float64, error) {
			time.Sleep(100 * time.Millisecond)
			return 0, nil
		}}
		r, err := Run(t.Context(), Plan{Rounds: 3, Budget: 3 * time.Second, take: machineOf(0, 0.5, 0)}, short)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(r.All("a")); n != 30 {
			t.Errorf("%d rounds of 0.1 s in 3 s", n)
		}
		if noise := r.Noise(); len(noise) != 30 || quiet(noise) != 25 || noise[4].Others != 0 || noise[5].Others != 0.5 {
			t.Errorf("%d rounds, %d of them quiet: %v", len(noise), quiet(noise), noise)
		}
	})
}

// TestOrder: by the seed; every arm has every position once in as many rounds as there are arms.
func TestOrder(t *testing.T) {
	p := Plan{Seed: 5, Warmup: 2}
	for block := range 4 {
		var at [3][]int
		for i := range 3 {
			for position, arm := range p.order(3*block+i-2, 3) {
				at[position] = append(at[position], arm)
			}
		}
		for position, arms := range at {
			if slices.Sort(arms); !slices.Equal(arms, []int{0, 1, 2}) {
				t.Errorf("block %d: position %d had %v", block, position, arms)
			}
		}
	}
	differ := func(a, b Plan) bool {
		for round := range 12 {
			if !slices.Equal(a.order(round, 3), b.order(round, 3)) {
				return true
			}
		}
		return false
	}
	if differ(p, p) || !differ(p, Plan{Seed: 6, Warmup: 2}) {
		t.Error("the order is not decided by the seed")
	}
}

func TestRunEnds(t *testing.T) {
	broken := errors.New("broken")
	fails := Arm[int]{Name: "a", Run: func(context.Context, Turn) (int, error) { return 0, broken }}
	if _, err := Run(t.Context(), Plan{Rounds: 1, take: machineOf(0)}, fails); !errors.Is(err, broken) || !strings.Contains(err.Error(), "measure a in round 0") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancels := Arm[int]{Name: "a", Run: func(context.Context, Turn) (int, error) { cancel(); return 0, nil }}
	if _, err := Run(ctx, Plan{Rounds: 100, take: machineOf(0)}, cancels); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	blind := func() (Snapshot, error) { return Snapshot{}, broken }
	if _, err := Run(t.Context(), Plan{Rounds: 1, take: blind}, cancels); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestRecorded(t *testing.T) {
	r := Recorded(map[string][]float64{"a": {1, 2, 3}, "b": {2}})
	if diff := cmp.Diff(Sample{Values: []float64{0.5}}, r.Pairs("a", "b", itself, Ratio)); diff != "" {
		t.Errorf("pairs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Sample{Values: []float64{1, 2, 3}}, r.Sample("a", itself)); diff != "" {
		t.Errorf("sample (-want +got):\n%s", diff)
	}
}

// TestNoise: shares of the machine, and the limits.
func TestNoise(t *testing.T) {
	start := time.Now()
	before := Snapshot{at: start, machine: machine{cores: 2}}
	after := Snapshot{at: start.Add(time.Second), pressure: 250 * time.Millisecond,
		machine: machine{cores: 2, idle: time.Second, stolen: 100 * time.Millisecond}}
	if diff := cmp.Diff(Noise{Others: 0.45, Stolen: 0.05, Pressure: 0.25}, after.Noise(before)); diff != "" {
		t.Errorf("noise (-want +got):\n%s", diff)
	}
	if (Noise{Stolen: 0.021}).Quiet() || (Noise{Others: 0.051}).Quiet() || !(Noise{Others: 0.05, Stolen: 0.02, Pressure: 1}).Quiet() {
		t.Error("the limits are not what they are documented to be")
	}
}
