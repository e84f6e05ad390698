package live

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lbctl/bpf/need"
	"lbctl/control/api"
	"lbctl/testbed/bed"
	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newBed(t *testing.T) *bed.Bed {
	t.Helper()
	need.Root(t)
	b, err := bed.New("/nonexistent/lbctl", slog.New(slog.DiscardHandler)) // no balancer is started here
	check(t, err)
	t.Cleanup(func() { check(t, b.Close()) })
	return b
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryFrameIsCounted: what the generator sends through a bare redirect comes out, each frame once. A signal
// makes it send some of a chunk twice.
func TestEveryFrameIsCounted(t *testing.T) {
	b := newBed(t)
	p, err := newPath(b, "path")
	check(t, err)
	check(t, p.redirect(b, 0))
	for _, s := range scenarios() {
		g, err := newGenerator(s.frames())
		check(t, err)
		r, err := p.run(t.Context(), g)
		check(t, err)
		check(t, g.Close())
		if r.sent < chunk || r.sent >= 2*chunk || r.received != r.sent || r.took <= 0 {
			t.Errorf("%s: %d frames sent, want %d or little more; %d received in %v", s.name, r.sent, chunk, r.received, r.took)
		}
	}
}

// TestLossIsSeen: with nothing in the middle nothing comes out, and that is no error but a figure.
func TestLossIsSeen(t *testing.T) {
	p, err := newPath(newBed(t), "path")
	check(t, err)
	g, err := newGenerator(scenarios()[0].frames())
	check(t, err)
	defer g.Close()
	r, err := p.run(t.Context(), g)
	check(t, err)
	if r.sent < chunk || r.received != 0 {
		t.Errorf("%d frames sent, %d received through nothing", r.sent, r.received)
	}
	rounds := measure.Recorded(map[string][]round{lbctlArm: {r}})
	if c := (&design{results: []result{{rounds: rounds}}}).lost(); c.Pass || c.Measured != r.sent {
		t.Errorf("lost: %+v", c)
	}
}

// TestForeignFrames: the sink counts the generator's frames alone, and the bare program takes all.
func TestForeignFrames(t *testing.T) {
	b := newBed(t)
	p, err := newPath(b, "path")
	check(t, err)
	check(t, p.redirect(b, 0))
	g, err := newGenerator(scenarios()[0].frames())
	check(t, err)
	defer g.Close()
	// A frame without the mark: its last word, which the map holds before the bytes that begin it.
	wrong := row(scenarios()[0].frames()[0])
	wrong[markAt-6]++
	check(t, g.frames.Put(uint32(0), wrong))
	r, err := p.run(t.Context(), g)
	check(t, err)
	if r.sent < chunk || r.received != 0 {
		t.Errorf("%d foreign frames sent, %d counted", r.sent, r.received)
	}
}

// TestFrames: as many as flows, all different, each with room for the mark behind its packet.
func TestFrames(t *testing.T) {
	for _, s := range scenarios() {
		seen := map[string]bool{}
		for _, f := range s.frames() {
			if len(f) > markAt {
				t.Fatalf("%s: a frame of %d bytes: the mark at %d would be in its packet", s.name, len(f), markAt)
			}
			seen[string(f)] = true
		}
		if len(seen) != s.flows || s.flows&(s.flows-1) != 0 {
			t.Errorf("%s: %d different frames, want %d, a power of two", s.name, len(seen), s.flows)
		}
	}
}

// TestRow: byte 6 is first, bytes 0 to 5 are last, the mark ends the frame.
func TestRow(t *testing.T) {
	frame := make([]byte, 60)
	for i := range frame {
		frame[i] = byte(i)
	}
	r := row(frame)
	if len(r) != rowSize || !bytes.Equal(r[:54], frame[6:]) || !bytes.Equal(r[frameSize-6:frameSize], frame[:6]) {
		t.Errorf("row %v", r)
	}
	if got := binary.NativeEndian.Uint32(r[markAt-6:]); got != mark {
		t.Errorf("mark %#x, want %#x", got, mark)
	}
}

// TestServices: the scenarios' virtual addresses are served.
func TestServices(t *testing.T) {
	served := map[string]api.Service{}
	for _, s := range services() {
		served[s.VIP] = s
	}
	for _, s := range scenarios() {
		if got := served[vip(s.six).String()]; len(got.Replicas) != replicas {
			t.Errorf("%s: %d replicas, want %d", s.name, len(got.Replicas), replicas)
		}
	}
}

// taking returns 18 rounds of 1000 frames that took so many nanoseconds each, by arm.
func taking(bare, lbctl, slowed []int) *measure.Rounds[round] {
	turns := map[string][]round{}
	for arm, nanoseconds := range map[string][]int{bareArm: bare, lbctlArm: lbctl, slowedArm: slowed} {
		for i := range 18 {
			turns[arm] = append(turns[arm], round{sent: 1000, received: 1000, took: time.Duration(1000 * nanoseconds[i%len(nanoseconds)])})
		}
	}
	return measure.Recorded(turns)
}

// outcome checks a verdict.
func outcome(t *testing.T, c report.Check, want report.Verdict) {
	t.Helper()
	if got := c.Outcome(); got != want {
		t.Errorf("%s: %s, want %s: measured %v, %+v", c.Name, got, want, c.Measured, c.Estimate)
	}
}

func TestFigures(t *testing.T) {
	s := result{scenario: scenarios()[0], rounds: taking([]int{80, 160, 80}, []int{100, 200, 100}, []int{400})}
	for _, m := range s.rounds.All(lbctlArm) {
		s.forwarded += m.sent
	}
	d := &design{results: []result{s}}
	c := s.reaches()
	if outcome(t, c, report.Pass); c.Measured != 0.8 {
		t.Errorf("measured %v, want 0.8: every third round was slow for both", c.Measured)
	}
	outcome(t, s.tooSlow(), report.Pass)
	for _, c := range []report.Check{d.agree(), d.lost()} {
		if !c.Pass {
			t.Errorf("%+v", c)
		}
	}
	table := d.table()
	if len(table.Rows) != 1 || len(table.Rows[0]) != len(table.Columns) {
		t.Errorf("rows %v for columns %v", table.Rows, table.Columns)
	}
	if _, err := d.figure(); err != nil {
		t.Error(err)
	}
}

// TestChecksFail: each when what it is about is wrong.
func TestChecksFail(t *testing.T) {
	s := result{scenario: scenarios()[0], rounds: taking([]int{80}, []int{108}, []int{90}), forwarded: 999}
	outcome(t, s.reaches(), report.Fail)
	outcome(t, s.tooSlow(), report.Fail)
	if c := (&design{results: []result{s}}).agree(); c.Pass {
		t.Errorf("passes: %+v", c)
	}
}

// TestRateIsOfWhatArrived: a path that loses is not fast.
func TestRateIsOfWhatArrived(t *testing.T) {
	r := round{sent: 1000, received: 500, took: 50 * time.Microsecond}
	if r.rate() != 10 || r.nanoseconds() != 100 {
		t.Errorf("%v million a second, %v ns; want 10 and 100", r.rate(), r.nanoseconds())
	}
}

func TestSecondsAreChecked(t *testing.T) {
	for _, seconds := range []string{"0", "-1", "NaN", "Inf", "1e9"} {
		if err := Experiment().Trial().Parameters().Set("seconds=" + seconds); !errors.Is(err, experiment.ErrParameter) {
			t.Errorf("%s seconds: %v, want ErrParameter", seconds, err)
		}
	}
}
