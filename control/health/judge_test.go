package health

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lbctl/control/intent"
)

func TestMain(m *testing.M) {
	if runAsCommand() {
		return
	}
	goleak.VerifyTestMain(m)
}

// TestJudge: + is a good result and - a bad one, a second apart; H, U and ? are what is known after each.
func TestJudge(t *testing.T) {
	check := intent.Check{Rise: 2, Fall: 3}
	for name, c := range map[string]struct{ results, want string }{
		"the first decides, good":        {"+", "H"},
		"the first decides, bad":         {"-", "U"},
		"three bad ones in a row":        {"+--+---", "HHHHHHU"},
		"two good ones in a row":         {"-+-++", "UUUUH"},
		"one that flaps has to be well":  {"-++---++++---++++++++", "UUHHHUUUUHHHUUUUUUUUH"},
		"and not bad once in that while": {"-++---+++-++++", "UUHHHUUUUUUUUH"},
	} {
		var j judge
		now, got := time.Unix(0, 0), ""
		for _, r := range c.results {
			now = now.Add(time.Second)
			var found error
			if r == '-' {
				found = errors.New("refused")
			}
			before := j.Status
			j.take(check, now, found)
			if j.Status != before && !j.Since.Equal(now) {
				t.Errorf("%s: since %v, want %v", name, j.Since, now)
			}
			if (j.Reason == "") != (j.Status == Healthy) {
				t.Errorf("%s: %v with reason %q", name, j.Status, j.Reason)
			}
			got += string("?HU"[j.Status])
		}
		if got != c.want {
			t.Errorf("%s: %s gave %s, want %s", name, c.results, got, c.want)
		}
	}
}

// One that has been well for long does not pay for what was before, and what a rise takes has an end.
func TestJudgeForgets(t *testing.T) {
	check := intent.Check{Rise: 1, Fall: 1}
	var j judge
	now := time.Unix(0, 0)
	rise := func() (n int) {
		now = now.Add(time.Second)
		j.take(check, now, errors.New("refused"))
		for n = 1; ; n++ {
			now = now.Add(time.Second)
			if j.take(check, now, nil); j.Status == Healthy {
				return n
			}
		}
	}
	for _, want := range []int{1, 2, 4, 8, 16, 16, 16} {
		if n := rise(); n != want {
			t.Errorf("it took %d good results, want %d", n, want)
		}
	}
	now = now.Add(steady)
	if n := rise(); n != 1 {
		t.Errorf("after a long time it took %d good results, want 1", n)
	}
}
