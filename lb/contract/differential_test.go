package contract

import (
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
)

// TestDifferentialOracle compares the reference with itself: the driver must see no
// difference where there is none.
func TestDifferentialOracle(t *testing.T) { Differential(t, 1, 5000, Oracle) }

// TestDifferentialReaches says that a run of that length meets every reason, and both ways to
// send; a fault of the tables there cannot be.
func TestDifferentialReaches(t *testing.T) {
	actions := make(map[oracle.Action]int)
	subject := Oracle(t)
	send := subject.Send
	subject.Send = func(link string, frame []byte) (oracle.Verdict, error) {
		v, err := send(link, frame)
		actions[v.Action]++
		return v, err
	}
	if err := newComparison(t, 1, subject).run(5000); err != nil {
		t.Fatal(err)
	}
	counters, err := subject.Dataplane.Counters()
	if err != nil {
		t.Fatal(err)
	}
	for reason, n := range counters.Reasons {
		if (n.Packets == 0) != (reason == lb.TableFault) {
			t.Errorf("%v: %d packets", reason, n.Packets)
		}
	}
	if len(actions) != 4 {
		t.Errorf("actions: %v", actions)
	}
	t.Logf("reasons %v, actions %v", counters.Reasons, actions)
}

// TestDifferentialNotices breaks the reference in one way at a time: each must be found.
func TestDifferentialNotices(t *testing.T) {
	for name, breaks := range defects() {
		t.Run(name, func(t *testing.T) {
			subject := Oracle(t)
			breaks(&subject)
			err := newComparison(t, 1, subject).run(5000)
			if err == nil {
				t.Fatal("not noticed in 5000 packets")
			}
			t.Log(err)
		})
	}
}
