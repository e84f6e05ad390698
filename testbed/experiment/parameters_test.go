package experiment

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sample is a design with a parameter of each kind.
type sample struct {
	replicas int
	speed    float64
	idle     time.Duration
	key      string
	rest     bool
}

func (s *sample) Parameters(p *Parameters) {
	p.Int(&s.replicas, "replicas", Ints{Low: 2, High: 100, Default: 4, Quick: 2, Full: 50}, "the number of replicas")
	p.Float(&s.speed, "speed", Floats{High: 10, Default: 1}, "how fast")
	p.Duration(&s.idle, "idle", Durations{Low: time.Second, High: time.Hour, Default: 12 * time.Second}, "how long")
	p.String(&s.key, "key", "ms", "the RSS key")
	p.Bool(&s.rest, "rest", true, "whether to wait")
	p.Check(func() error { return Within("replicas", s.replicas, 0, int(10*s.speed)) })
}

func (s *sample) Arms(context.Context, *Run) ([]Arm, error) { return nil, nil }
func (s *sample) Conclude(*Run) error                       { return nil }

func TestSet(t *testing.T) {
	s := &sample{}
	p := NewParameters(s)
	for _, assignment := range []string{"replicas=7", "idle=20s", "rest=false"} {
		if err := p.Set(assignment); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]any{"replicas": 7, "speed": 1.0, "idle": "20s", "key": "ms", "rest": false}
	if diff := cmp.Diff(want, p.Values()); diff != "" || s.replicas != 7 || s.idle != 20*time.Second || s.rest {
		t.Errorf("%+v, values (-want +got):\n%s", s, diff)
	}
	if list := p.List(); len(list) != 5 || list[0].Default != "4" || list[0].Full != "50" || list[1].Full != "" {
		t.Errorf("list = %v", list)
	}
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}

func TestSetRefuses(t *testing.T) {
	for assignment, says := range map[string]string{
		"replicas":       "key=value",
		"replica=7":      "want one of replicas, speed, idle, key, rest",
		"replicas=seven": "the number of replicas",
		"replicas=1.5":   "for instance 4",
		"replicas=101":   "replicas=101: want 2 to 100",
		"speed=NaN":      "want 0 to 10",
		"idle=0s":        "want 1s to 1h0m0s",
		"idle=long":      "for instance 12s",
		"rest=perhaps":   "neither true nor false",
	} {
		s := &sample{}
		p := NewParameters(s)
		err := p.Set(assignment)
		if !errors.Is(err, ErrParameter) || !strings.Contains(err.Error(), says) {
			t.Errorf("Set(%q) = %v, want ErrParameter saying %q", assignment, err, says)
		}
		if s.replicas != 4 || math.IsNaN(s.speed) || s.idle != 12*time.Second || !s.rest {
			t.Errorf("Set(%q) changed a value: %+v", assignment, s)
		}
	}
}

// Both bounds are values, and what is next to them is refused, however the number is written.
func TestBoundsAreIncluded(t *testing.T) {
	for name, c := range map[string]struct{ in, out []string }{
		"replicas": {[]string{"2", "100"}, []string{"1", "101"}},
		"speed":    {[]string{"0", "10"}, []string{"-5e-324", "10.000000000000002"}},
		"idle":     {[]string{"1s", "1h", "3600s"}, []string{"999999999ns", "3600.000000001s"}},
	} {
		p := NewParameters(&sample{})
		for _, v := range c.in {
			if err := p.Set(name + "=" + v); err != nil {
				t.Errorf("%s=%s: %v", name, v, err)
			}
		}
		for _, v := range c.out {
			if err := p.Set(name + "=" + v); !errors.Is(err, ErrParameter) {
				t.Errorf("%s=%s: %v", name, v, err)
			}
		}
	}
	for _, p := range NewParameters(&sample{}).List()[:3] {
		if want := map[string]string{"replicas": "2 100", "speed": "0 10", "idle": "1s 1h0m0s"}[p.Name]; p.Low+" "+p.High != want {
			t.Errorf("%s: %s to %s", p.Name, p.Low, p.High)
		}
	}
	for value, ok := range map[int]bool{1: false, 2: true, 9: true, 10: false} {
		if err := Within("x", value, 2, 9); (err == nil) != ok {
			t.Errorf("%d of 2 to 9: %v", value, err)
		}
	}
}

// TestSizes: a size replaces all values, and conditions between parameters are checked afterwards.
func TestSizes(t *testing.T) {
	s := &sample{}
	p := NewParameters(s)
	for size, want := range map[Size]int{Quick: 2, Full: 50} {
		if err := p.Resize(size); err != nil || s.replicas != want || s.speed != 1 {
			t.Errorf("%s: %+v, %v", size, s, err)
		}
		if err := p.Validate(); (err != nil) != (size == Full) || err != nil && !errors.Is(err, ErrParameter) {
			t.Errorf("%s: %v", size, err)
		}
	}
}
