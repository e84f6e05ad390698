package progress

import (
	"slices"
	"testing"
	"time"
)

// recorder writes down what it is told.
type recorder struct{ told []string }

func (r *recorder) Begin(int)        {}
func (r *recorder) Step(what string) { r.told = append(r.told, what) }
func (r *recorder) At(int)           {}
func (r *recorder) End()             { r.told = append(r.told, "end") }

// TestETA: by the plan at first; when that is over, by what has been done; and what comes after is added.
func TestETA(t *testing.T) {
	var now time.Time
	after := func(d time.Duration) { now = time.Time{}.Add(d) }
	r := &recorder{}
	p := WithETA(r, Plan{Name: "2/3 copies: ", Expected: 10 * time.Second, After: 5 * time.Second}, func() time.Time { return now })
	p.Begin(100)
	p.Step("one")
	after(4 * time.Second)
	p.At(50)
	p.Step("two")
	after(20 * time.Second)
	p.Step("three") // half is done after 20 s
	after(30 * time.Second)
	p.At(100)
	p.Step("four")
	p.End()
	want := []string{"2/3 copies: one, 15 s left", "2/3 copies: two, 11 s left", "2/3 copies: three, 25 s left", "2/3 copies: four, 5 s left", "end"}
	if !slices.Equal(r.told, want) {
		t.Errorf("told %q, want %q", r.told, want)
	}
}

// TestETAUnknown: without a plan nothing is said until something is done; long times are minutes.
func TestETAUnknown(t *testing.T) {
	var now time.Time
	r := &recorder{}
	p := WithETA(r, Plan{}, func() time.Time { return now })
	p.Begin(100)
	now = now.Add(time.Minute)
	p.Step("one")
	p.At(20)
	p.Step("two")
	p.End()
	if want := []string{"one", "two, 4 min left", "end"}; !slices.Equal(r.told, want) {
		t.Errorf("told %q, want %q", r.told, want)
	}
}
