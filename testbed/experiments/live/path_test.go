package live

import (
	"log/slog"
	"runtime"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"lbctl/bpf/need"
	"lbctl/testbed/bench/wires"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newBed(t *testing.T) *wires.Bed {
	t.Helper()
	need.Root(t)
	b, err := wires.New("/nonexistent/lbctl", slog.New(slog.DiscardHandler)) // no balancer is started here
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
	check(t, p.bare(b, 0))
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
	s := result{scenario: scenarios()[0], lbctl: []round{r}, plain: []round{{sent: 1, received: 1, took: 1}}}
	if c := (&run{results: []result{s}}).lost(); c.Pass || c.Measured != r.sent {
		t.Errorf("lost: %+v", c)
	}
}

// TestForeignFrames: the sink counts the generator's frames alone, and the bare program takes all.
func TestForeignFrames(t *testing.T) {
	b := newBed(t)
	p, err := newPath(b, "path")
	check(t, err)
	check(t, p.bare(b, 0))
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

// TestStaying: for as long as f runs the thread may be on one core, and afterwards where it might before.
func TestStaying(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cores := func() (set unix.CPUSet) {
		check(t, unix.SchedGetaffinity(0, &set))
		return set
	}
	before := cores()
	check(t, staying(func() error {
		if now := cores(); now.Count() != 1 {
			t.Errorf("%d cores, want 1", now.Count())
		}
		return nil
	}))
	if after := cores(); after != before {
		t.Errorf("%d cores afterwards, %d before", after.Count(), before.Count())
	}
}
