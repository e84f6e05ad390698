package metrics

import (
	"testing"
	"testing/synctest"
	"time"

	"lbctl/lb"
)

// TestFlowsAreCountedRarely: scrapes that come at once take a twentieth of the time at most, however long one count takes.
func TestFlowsAreCountedRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counts := 0
		f := flows{read: func() (map[lb.VIP]lb.Flows, error) {
			counts++
			time.Sleep(time.Second)
			return map[lb.VIP]lb.Flows{}, nil
		}}
		for began := time.Now(); time.Since(began) < 210*time.Second; time.Sleep(time.Millisecond) {
			if _, err := f.count(); err != nil {
				t.Fatal(err)
			}
		}
		if counts != 10 {
			t.Errorf("counted %d times of a second each in 210 seconds, want 10", counts)
		}
		time.Sleep(time.Minute)
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.last != nil {
			t.Error("the last count is kept")
		}
	})
}
