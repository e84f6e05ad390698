package live

import (
	"errors"
	"testing"
	"time"

	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// taking is n rounds of 1000 frames that took so many nanoseconds each.
func taking(nanoseconds ...int) (all []round) {
	for _, n := range nanoseconds {
		all = append(all, round{sent: 1000, received: 1000, took: time.Duration(1000 * n)})
	}
	return all
}

func TestFigures(t *testing.T) {
	s := result{
		scenario: scenarios()[0], lbctl: taking(100, 200, 100), plain: taking(80, 160, 70), control: taking(400, 400), forwarded: 3000,
	}
	if got := s.ratio(s.lbctl); got != 0.8 {
		t.Errorf("ratio %v, want 0.8: the second round was bad for both", got)
	}
	r := &run{trial: New().(*trial), results: []result{s}}
	if c := s.reaches(); !c.Pass || c.Measured != 0.8 {
		t.Errorf("%+v", c)
	}
	if c := s.slowed(); !c.Pass || c.Measured != 0.2 {
		t.Errorf("control: %+v", c)
	}
	if c := r.agree(); !c.Pass {
		t.Errorf("%+v", c)
	}
	table := r.table()
	if len(table.Rows) != 1 || len(table.Rows[0]) != len(table.Columns) {
		t.Errorf("rows %v for columns %v", table.Rows, table.Columns)
	}
}

// TestChecksFail: each when what it is about is wrong.
func TestChecksFail(t *testing.T) {
	s := result{scenario: scenarios()[0], lbctl: taking(108), plain: taking(80), control: taking(90), forwarded: 999}
	s.plain[0].received--
	r := &run{results: []result{s}}
	for _, c := range []report.Check{s.reaches(), s.slowed(), r.lost(), r.agree()} {
		if c.Pass {
			t.Errorf("passes: %+v", c)
		}
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
		trial := New()
		if err := trial.Parameters().Set("seconds=" + seconds); err != nil {
			t.Fatal(err)
		}
		if _, err := trial.Run(t.Context(), experiment.Env{}); !errors.Is(err, experiment.ErrParameter) {
			t.Errorf("%s seconds: %v, want ErrParameter", seconds, err)
		}
	}
}
