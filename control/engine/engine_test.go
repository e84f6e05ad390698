package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lbctl/control/intent"
	"lbctl/control/reconcile"
	"lbctl/lb"
)

const noEth1 = "attach eth1: interface not found"

// An interface that is missing blocks neither the start nor a change of something else, shows, and is
// attached when it comes, comes back or is let go of.
func TestAMissingInterfaceBlocksNothing(t *testing.T) {
	dp := newLinks()
	dp.refuse("eth1", errAbsent)
	w := startWorld(t, dp, wanting("eth0", "eth1"))
	w.wantInterfaces("eth0 native", "eth1 missing: "+noEth1)
	if p := w.mustEdit(func(i intent.Intent) (intent.Intent, error) {
		return with(i, web(in(lb.Active), in(lb.Down)))
	}); len(p.Steps) != 1 {
		t.Errorf("steps %v", p.Steps)
	}
	w.wantNews(IntentChanged{"test", "edit"})
	dp.allow("eth1")
	w.wantNews(InterfaceAttached{"eth1"})
	w.wantInterfaces("eth0 native", "eth1 native")

	dp.refuse("eth0", errAbsent)
	w.wantNews(InterfaceMissing{"eth0", "attach eth0: interface not found"})
	dp.refuse("eth0", lb.ErrConflict)
	w.wantNews(InterfaceMissing{"eth0", "attach eth0: conflict"})
	dp.allow("eth0")
	w.wantNews(InterfaceAttached{"eth0"})
	w.wantInterfaces("eth0 native", "eth1 native")
	if now := w.Now(); now.Number != 2 {
		t.Errorf("revision %d: links that come and go are no changes of the intent", now.Number)
	}
}

// News of a wanted interface is acted upon at once: no time passes here. All news is passed on.
func TestNewsOfTheNetwork(t *testing.T) {
	dp := newLinks()
	dp.refuse("eth1", errAbsent)
	w := startWorld(t, dp, wanting("eth0", "eth1"))
	dp.allow("eth1")
	for _, e := range []lb.Event{
		{Kind: lb.NextHopChanged, Replica: replica(1)}, {Kind: lb.LinkChanged, Interface: "eth7"}, {Kind: lb.LinkChanged, Interface: "eth1"},
	} {
		dp.news <- e
		if got := (<-w.stream.Events()).News; got != (Network{e}) {
			t.Errorf("told %+v, want %+v", got, e)
		}
	}
	if got := (<-w.stream.Events()).News; got != (InterfaceAttached{"eth1"}) {
		t.Errorf("told %+v, want that eth1 is attached", got)
	}
}

// An interface that has lost its link behind the engine's back is attached again at once, which is told.
func TestALostLink(t *testing.T) {
	dp := newLinks()
	w := startWorld(t, dp, wanting("eth0"))
	if err := dp.Detach(t.Context(), "eth0"); err != nil {
		t.Fatal(err)
	}
	if w.NotReady() == "" {
		t.Error("ready without the interface that is wanted")
	}
	lost := lb.Event{Kind: lb.LinkLost, Index: 2}
	dp.news <- lost
	for _, want := range []News{Network{lost}, InterfaceAttached{"eth0"}} {
		if got := (<-w.stream.Events()).News; got != want {
			t.Errorf("told %+v, want %+v", got, want)
		}
	}
	w.wantInterfaces("eth0 native")
}

// A datapath that others have changed is not ready.
func TestFaultsOfTheDatapath(t *testing.T) {
	dp := newLinks()
	w := startWorld(t, dp, wanting("eth0"))
	dp.mu.Lock()
	dp.is = lb.Condition{Faults: []string{"not pinned any more: /a"}}
	dp.mu.Unlock()
	if why := w.NotReady(); why != "not pinned any more: /a" {
		t.Errorf("not ready: %q", why)
	}
}

// What is asked for now fails now, and changes nothing.
func TestAnAttachThatIsAskedForFails(t *testing.T) {
	dp := newLinks()
	dp.refuse("eth1", errAbsent)
	w := startWorld(t, dp, wanting("eth0"))
	attach := func(i intent.Intent) (intent.Intent, error) {
		return i.WithInterface(intent.Interface{Name: "eth1", Mode: lb.Auto}), nil
	}
	if _, err := w.edit(attach); !errors.Is(err, lb.ErrNotFound) {
		t.Errorf("a new interface that is missing: %v", err)
	}
	w.wantInterfaces("eth0 native")
	dp.allow("eth1")
	w.mustEdit(attach)
	dp.refuse("eth1", errAbsent)
	w.wantNews(IntentChanged{"test", "edit"}, InterfaceMissing{"eth1", noEth1})
	if p := w.mustEdit(attach); len(p.Steps) != 0 {
		t.Errorf("one that was wanted already: steps %v", p.Steps)
	}
	_, _, err := w.Change(t.Context(), Change{Edit: attach, Attach: "eth1"})
	if !errors.Is(err, lb.ErrNotFound) {
		t.Errorf("an attach of one that was wanted already: %v", err)
	}
	_, p, err := w.Plan(Change{Edit: func(i intent.Intent) (intent.Intent, error) { return i, nil }})
	if err != nil || len(p.Steps) != 0 {
		t.Errorf("plan of what is wanted: %v, %v", p.Steps, err)
	}
}

// An interface that cannot be attached in the wanted mode stays as it is, and its traffic is not interrupted again.
func TestAModeThatIsRefused(t *testing.T) {
	dp := newLinks()
	if _, err := dp.Attach(t.Context(), "eth0", lb.Generic); err != nil {
		t.Fatal(err)
	}
	dp.refuse("eth0 native", lb.ErrUnsupported)
	native := func(i intent.Intent) (intent.Intent, error) {
		return i.WithInterface(intent.Interface{Name: "eth0", Mode: lb.Native}), nil
	}
	i, _ := native(wanting())
	w := startWorld(t, dp, i)
	w.wantInterfaces("eth0 generic: attach eth0: not supported")
	p := w.mustEdit(func(i intent.Intent) (intent.Intent, error) { return with(i, web(in(lb.Active))) })
	if len(p.Steps) != 1 {
		t.Errorf("steps %v", p.Steps)
	}
	dp.allow("eth0 native")
	if _, _, err := w.Change(t.Context(), Change{Edit: native, Attach: "eth0"}); err != nil {
		t.Error(err)
	}
	w.wantInterfaces("eth0 native")
}

// A datapath that refuses ends the start, and nothing has changed.
func TestStartRefused(t *testing.T) {
	dp := newLinks()
	dp.refuseSet(lb.ErrFull)
	kept := startWorld(t, newLinks(), intent.Default()).kept
	_, err := Start(t.Context(), Options{Dataplane: dp, Store: kept}, wanting("eth0"))
	var refused *reconcile.StepError
	if !errors.As(err, &refused) || !errors.Is(err, lb.ErrFull) {
		t.Errorf("start: %v", err)
	}
	if attached, err := dp.Interfaces(); err != nil || len(attached) != 0 {
		t.Errorf("attached after the refusal: %v, %v", attached, err)
	}
	if r, err := kept.Latest(t.Context()); err != nil || r.Number != 1 {
		t.Errorf("stored revision %d, %v", r.Number, err)
	}
}

// A deadline sets a replica down, as told, and makes no revision. Where the datapath refuses, it is out
// of sync until it does not.
func TestADeadlineIsNoRevision(t *testing.T) {
	w := startWorld(t, newLinks(), wanting())
	drain := web(in(lb.Active), until(noon.Add(time.Hour)))
	w.mustEdit(func(i intent.Intent) (intent.Intent, error) { return with(i, drain) })
	w.wantNews(IntentChanged{"test", "edit"})
	w.dp.refuseSet(lb.ErrFull)
	w.hand.tick(time.Hour)
	if got, ok := w.next().(OutOfSync); !ok || !strings.Contains(got.Reason, "full") || w.NotReady() == "" {
		t.Errorf("told %+v, not ready: %q", got, w.NotReady())
	}
	if w.state(2) != lb.Draining {
		t.Errorf("replica 2 is %v", w.state(2))
	}
	w.dp.refuseSet(nil)
	w.wantNews(ReplicaChanged{"web", Endpoint{drain.VIP, replica(2)}, lb.Draining, lb.Down, "drain deadline passed"}, InSync{})
	now := w.Now()
	if w.state(2) != lb.Down || now.Number != 2 || !now.Intent.Services[0].Equal(drain) {
		t.Errorf("replica 2 is %v; revision %d: %+v", w.state(2), now.Number, now.Intent.Services)
	}
	if w.NotReady() != "" {
		t.Errorf("not ready: %s", w.NotReady())
	}
}

// Who changed what for, and when, is in the store.
func TestRevisionsSayWhoAndWhy(t *testing.T) {
	w := startWorld(t, newLinks(), wanting())
	w.mustEdit(func(i intent.Intent) (intent.Intent, error) { return i.WithoutService("web") })
	all, err := w.kept.History(t.Context(), 0)
	if err != nil || len(all) != 2 || all[0].Actor != "test" || all[0].Reason != "edit" || all[0].Time != noon || all[1].Reason != "start with test.yaml" {
		t.Errorf("history %+v, %v", all, err)
	}
}

// A change that cannot be stored is taken back.
func TestAStoreThatFails(t *testing.T) {
	w := startWorld(t, newLinks(), wanting())
	w.kept.Fail(errors.New("no space"))
	if _, err := w.edit(func(i intent.Intent) (intent.Intent, error) { return i.WithoutService("web") }); err == nil {
		t.Error("the change succeeded")
	}
	if w.state(1) != lb.Active || w.Now().Number != 1 || w.NotReady() != "" {
		t.Errorf("replica 1 is %v, revision %d, not ready: %q", w.state(1), w.Now().Number, w.NotReady())
	}
}

func TestStaleChange(t *testing.T) {
	w := startWorld(t, newLinks(), wanting())
	_, _, err := w.Change(t.Context(), Change{Match: func(now *Snapshot) error { return fmt.Errorf("%w: at %d", ErrStale, now.Number) }})
	if !errors.Is(err, ErrStale) || !strings.HasSuffix(err.Error(), "at 1") || w.Now().Number != 1 {
		t.Errorf("%v, want ErrStale at revision 1", err)
	}
}

// A slow subscriber is dropped and told so.
func TestSubscribers(t *testing.T) {
	w := startWorld(t, newLinks(), wanting())
	slow := w.Subscribe()
	flip := func(n int) {
		w.mustEdit(func(i intent.Intent) (intent.Intent, error) {
			return with(i, web(in([]lb.ReplicaState{lb.Active, lb.Down}[n%2])))
		})
	}
	const told = eventBuffer + 10
	for n := range told {
		flip(n + 1)
		if e := <-w.stream.Events(); e.Number != uint64(n+2) || e.Revision != uint64(n+2) { // the start was the first
			t.Fatalf("event %d: %+v", n, e)
		}
	}
	var last uint64
	for e := range slow.Events() {
		last = e.Number
	}
	if last != eventBuffer+1 || !errors.Is(slow.Err(), ErrSlow) {
		t.Errorf("the slow one got events to %d, then %v", last, slow.Err())
	}
	again := w.Subscribe()
	again.Close()
	again.Close()
	if _, open := <-again.Events(); open || again.Err() != nil {
		t.Errorf("after Close: %v, %v", open, again.Err())
	}
}

// Events can be read later: each once, in order, and how many are not kept any more is told.
func TestEventsAfter(t *testing.T) {
	var h hub
	read, lost := []uint64{}, uint64(0)
	var last uint64
	readOn := func() <-chan struct{} {
		kept, gone, more := h.after(last)
		lost += gone
		for _, e := range kept {
			read, last = append(read, e.Number), e.Number
		}
		return more
	}
	more := readOn()
	const first = 3 * keptEvents
	for range first {
		h.publish(Event{})
	}
	<-more
	if more = readOn(); lost+uint64(len(read)) != first || len(read) < keptEvents || read[0] != lost+1 || last != first {
		t.Errorf("read %d from %d to %d, lost %d", len(read), read[0], last, lost)
	}
	select {
	case <-more:
		t.Error("woken for nothing")
	default:
	}
	for n := range 5 * keptEvents {
		h.publish(Event{})
		<-more
		if more = readOn(); last != uint64(first+n+1) {
			t.Fatalf("event %d: read %d", first+n+1, last)
		}
	}
	if !slices.IsSorted(read) || lost+uint64(len(read)) != last {
		t.Errorf("read %d, lost %d of %d", len(read), lost, last)
	}
	if kept, gone, _ := h.after(last + 1000); len(kept) > 0 || gone > 0 {
		t.Errorf("after one to come: %d, %d lost", len(kept), gone)
	}
}

// An event names the services that it is about.
func TestEventsNameServices(t *testing.T) {
	w := startWorld(t, newLinks(), wanting())
	kept, _, _ := w.EventsAfter(0)
	if len(kept) != 1 || !slices.Equal(kept[0].Services, []string{"web"}) {
		t.Errorf("the start: %+v", kept)
	}
	w.mustEdit(func(i intent.Intent) (intent.Intent, error) {
		i.Services = append(slices.Clone(i.Services), intent.List(dns())...)
		return i, nil
	})
	if e := <-w.stream.Events(); !slices.Equal(e.Services, []string{"dns"}) {
		t.Errorf("added: %+v", e)
	}
	w.dp.news <- lb.Event{Kind: lb.NextHopChanged, Replica: replica(1)}
	if e := <-w.stream.Events(); !slices.Equal(e.Services, []string{"web"}) {
		t.Errorf("the next hop of a replica: %+v", e)
	}
	w.mustEdit(func(i intent.Intent) (intent.Intent, error) { return i.WithoutService("web") })
	if e := <-w.stream.Events(); !slices.Equal(e.Services, []string{"web"}) {
		t.Errorf("removed: %+v", e)
	}
}
