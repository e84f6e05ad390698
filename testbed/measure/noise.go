package measure

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// The limits of a quiet round. They bound what a round may be slowed by that the experiment did not cause:
// some percent, less than what its claims are about. A round is classified by these before its values are
// looked at.
const (
	// MaxOthers and MaxStolen are the greatest shares of a quiet round: see Noise.
	MaxOthers, MaxStolen = 0.05, 0.02
	// MinQuiet is the least share of rounds that must be quiet: below it the sample is Unquiet.
	MinQuiet = 0.75
)

// Noise is what the machine did in a round beside the experiment. The experiment is this process, its
// descendants and the kernel's threads.
type Noise struct {
	// Others is the share of the CPU time of all cores that other processes took. Interrupts on an idle core
	// count as others unless the kernel accounts for them apart.
	Others float64 `json:"others"`
	// Stolen is the share that other guests of the host took (steal in /proc/stat).
	Stolen float64 `json:"stolen"`
	// Pressure is the share of the time in which a task waited for a core (/proc/pressure/cpu, "some"), the
	// experiment's own tasks included: so it is for information and decides nothing. 0 if the kernel does not say.
	Pressure float64 `json:"pressure"`
}

// Quiet tells whether a round counts.
func (n Noise) Quiet() bool { return n.Others <= MaxOthers && n.Stolen <= MaxStolen }

// Noise returns what was done since an earlier snapshot.
func (s Snapshot) Noise(since Snapshot) Noise {
	capacity := float64(s.Capacity(since))
	if capacity <= 0 {
		return Noise{}
	}
	self := os.Getpid()
	own := s.Below(self) - since.Below(self) + s.Of(self) - since.Of(self)
	return Noise{
		Others:   max(float64(s.Busy(since)-own)/capacity, 0),
		Stolen:   max(float64(s.machine.stolen-since.machine.stolen)/capacity, 0),
		Pressure: max(float64(s.pressure-since.pressure)/float64(s.at.Sub(since.at)), 0),
	}
}

// quiet counts the quiet rounds.
func quiet(rounds []Noise) (n int) {
	for _, r := range rounds {
		if r.Quiet() {
			n++
		}
	}
	return n
}

// unquiet says what disturbed the machine if too few rounds were quiet, else "".
func unquiet(rounds []Noise) string {
	n := quiet(rounds)
	if float64(n) >= MinQuiet*float64(len(rounds)) {
		return ""
	}
	return fmt.Sprintf("the machine was not quiet in %d of %d rounds: %s; the limits are %.0f %% and %.0f %%",
		len(rounds)-n, len(rounds), Describe(rounds), 100*MaxOthers, 100*MaxStolen)
}

// Describe says what the machine did beside the experiment, for report.Environment.
func Describe(rounds []Noise) string {
	others := Collect(rounds, func(n Noise) float64 { return n.Others })
	stolen := Collect(rounds, func(n Noise) float64 { return n.Stolen })
	return fmt.Sprintf("in the median round other processes took %.1f %% of it and the host stole %.1f %%", 100*Median(others), 100*Median(stolen))
}

// window is the least time between two snapshots: a snapshot takes some milliseconds, and /proc/stat counts
// hundredths of a second. Shorter rounds share the noise of their window.
const window = 500 * time.Millisecond

// watch classifies rounds.
type watch struct {
	take  func() (Snapshot, error)
	last  Snapshot
	noise []Noise
	open  int // rounds since last
}

func newWatch(take func() (Snapshot, error)) (*watch, error) {
	last, err := take()
	return &watch{take: take, last: last}, err
}

// round says that a round has ended.
func (w *watch) round() error {
	w.open++
	if time.Since(w.last.at) < window {
		return nil
	}
	return w.close()
}

// close classifies the rounds of the window that is open.
func (w *watch) close() error {
	if w.open == 0 {
		return nil
	}
	now, err := w.take()
	if err != nil {
		return err
	}
	n := now.Noise(w.last)
	for ; w.open > 0; w.open-- {
		w.noise = append(w.noise, n)
	}
	w.last = now
	return nil
}

// pressure returns the time in which some task waited for a core, since boot; 0 if the kernel does not say.
func pressure() time.Duration {
	text, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return 0
	}
	some, _, _ := strings.Cut(string(text), "\n")
	_, total, _ := strings.Cut(some, " total=")
	n, err := strconv.ParseInt(total, 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}
