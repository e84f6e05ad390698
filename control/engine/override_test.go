package engine

import (
	"errors"
	"testing"
	"time"

	"lbctl/control/intent"
	"lbctl/lb"
)

func target(n byte) intent.Target { return intent.Target{Service: "web", Replica: replica(n)} }

// byHand sets a replica of web by hand.
func byHand(n byte, o intent.Override) func(intent.Intent) (intent.Intent, error) {
	return func(i intent.Intent) (intent.Intent, error) { return i.WithOverride(target(n), o) }
}

// another is a configuration that knows nothing of what was set by hand.
func another(services ...intent.Service) func(intent.Intent) (intent.Intent, error) {
	return func(i intent.Intent) (intent.Intent, error) {
		i.Services = intent.List(services...)
		return i, nil
	}
}

func down() intent.Override { return intent.Override{SetsState: true, State: lb.Down} }

// Another configuration keeps what was set by hand, until the replica goes, and the override says who set it.
func TestAnOverrideIsKept(t *testing.T) {
	w := startWorld(t, newLinks(), wanting())
	w.mustEdit(byHand(1, down()))
	if o := w.Now().Intent.Overrides[target(1)]; w.state(1) != lb.Down || o.Actor != "test" || !o.Since.Equal(noon) {
		t.Errorf("replica 1 is %v, set by hand: %+v", w.state(1), o)
	}
	if declared, _ := w.Now().Intent.Services[0].State(replica(1)); declared != lb.Active {
		t.Errorf("it is declared %v", declared)
	}
	w.hand.tick(time.Hour)
	w.mustEdit(another(web(in(lb.Active), in(lb.Active), in(lb.Active))))
	if o := w.Now().Intent.Overrides[target(1)]; w.state(1) != lb.Down || !o.Since.Equal(noon) {
		t.Errorf("replica 1 is %v under another configuration, set by hand: %+v", w.state(1), o)
	}
	revision := w.Now().Number
	w.mustEdit(byHand(1, down()))
	if w.Now().Number != revision {
		t.Error("to set by hand what is set is a revision")
	}
	w.mustEdit(another(web()))
	w.mustEdit(another(web(in(lb.Active))))
	if w.state(1) != lb.Active || len(w.Now().Intent.Overrides) != 0 {
		t.Errorf("a replica that was removed comes back %v", w.state(1))
	}
	w.mustEdit(byHand(1, down()))
	renamed := web(in(lb.Active))
	renamed.Name = "www"
	w.mustEdit(another(renamed))
	if w.state(1) != lb.Active || len(w.Now().Intent.Overrides) != 0 {
		t.Errorf("under another name of its service the replica is %v", w.state(1))
	}
}

// An override is a change of what is wanted, and not told as a deviation from it. Its deadline comes.
func TestADrainByHandEnds(t *testing.T) {
	w := startWorld(t, newLinks(), wanting())
	w.mustEdit(byHand(1, intent.Override{SetsState: true, State: lb.Draining, DrainUntil: noon.Add(90 * time.Second)}))
	w.wantNews(IntentChanged{"test", "edit"})
	if w.state(1) != lb.Draining {
		t.Errorf("replica 1 is %v", w.state(1))
	}
	w.wantNews(ReplicaChanged{"web", Endpoint{web().VIP, replica(1)}, lb.Draining, lb.Down, "drain deadline passed"})
	w.mustEdit(another(web(in(lb.Active), in(lb.Active), in(lb.Active))))
	if w.state(1) != lb.Down {
		t.Errorf("another configuration makes the drained replica %v", w.state(1))
	}
	w.wantNews(IntentChanged{"test", "edit"})
	w.mustEdit(byHand(1, intent.Override{}))
	if w.state(1) != lb.Active {
		t.Errorf("taken back, replica 1 is %v", w.state(1))
	}
	w.wantNews(IntentChanged{"test", "edit"})
}

// What is valid as declared may not be with the overrides, and the other way round: both are checked.
func TestOverridesAreValidated(t *testing.T) {
	i := wanting()
	i.Datapath.Limits.Slots = 2
	w := startWorld(t, newLinks(), i)
	w.mustEdit(another(web(in(lb.Active), in(lb.Active), in(lb.Down))))
	if _, err := w.edit(byHand(3, intent.Override{SetsState: true})); err == nil || w.state(3) != lb.Down {
		t.Errorf("three slots of two: %v, replica 3 is %v", err, w.state(3))
	}
	w.mustEdit(byHand(1, down()))
	w.mustEdit(byHand(3, intent.Override{SetsState: true}))
	if w.state(1) != lb.Down || w.state(3) != lb.Active {
		t.Errorf("replica 1 is %v, replica 3 %v", w.state(1), w.state(3))
	}
	if _, err := w.edit(byHand(1, intent.Override{})); err == nil {
		t.Error("three slots of two again")
	}
}

// A weight by hand is for a scheduler that has weights, and has no effect while another configuration has none.
func TestWeightByHand(t *testing.T) {
	s := web(in(lb.Active), in(lb.Active))
	w := startWorld(t, newLinks(), wanting())
	if _, err := w.edit(byHand(1, intent.Override{Weight: 5})); !errors.Is(err, lb.ErrInvalid) {
		t.Errorf("with modulo: %v", err)
	}
	maglev := s
	maglev.Scheduler, maglev.TableSize = lb.Maglev, 251
	w.mustEdit(another(maglev))
	w.mustEdit(byHand(1, intent.Override{Weight: 5}))
	for n, configuration := range intent.List(maglev, s, maglev) {
		w.mustEdit(another(*configuration))
		all, err := w.dp.Services()
		if want := []uint16{5, 1, 5}[n]; err != nil || all[0].Replicas[0].Weight != want {
			t.Errorf("forwarded %+v, %v; want weight %d", all, err, want)
		}
	}
}
