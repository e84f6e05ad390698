package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"lbctl/control/intent"
	"lbctl/control/store"
	"lbctl/control/store/storetest"
	"lbctl/lb"
)

// counted is a store that counts its appends.
type counted struct {
	storetest.Memory
	appends int
}

func (c *counted) Append(ctx context.Context, after uint64, all ...store.Revision) (uint64, error) {
	c.appends++
	return c.Memory.Append(ctx, after, all...)
}

// outcome is what became of a change.
type outcome struct {
	now      *Snapshot
	plan     Plan
	err      error
	panicked string
}

// crowd has a change of "first" under way, and all others wait for it before it goes on. It returns what became of them.
func crowd(t *testing.T, e *Engine, dp *links, others ...Change) []outcome {
	t.Helper()
	under, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	dp.hook = func() { once.Do(func() { close(under); <-goOn }) }
	var running sync.WaitGroup
	running.Go(func() {
		if _, _, err := e.Change(context.Background(), Change{Actor: "first", Edit: scaled("first", 2)}); err != nil {
			t.Error(err)
		}
	})
	<-under
	all := make([]outcome, len(others))
	for n, c := range others {
		running.Go(func() {
			defer func() { all[n].panicked, _ = recover().(string) }()
			all[n].now, all[n].plan, all[n].err = e.Change(context.Background(), c)
		})
		for len(e.requests.all()) < n+2 {
			time.Sleep(time.Millisecond)
		}
	}
	close(goOn)
	running.Wait()
	return all
}

// scaled gives a service so many replicas, and makes it if there is none.
func scaled(name string, replicas byte) func(intent.Intent) (intent.Intent, error) {
	return func(i intent.Intent) (intent.Intent, error) {
		s, port := dns(), uint16(0)
		for _, c := range name {
			port = 31*port + uint16(c)
		}
		s.Name, s.VIP.Address = name, netip.AddrPortFrom(replica(53).Addr(), port)
		var all []intent.Replica
		for n := range replicas {
			all = append(all, intent.Replica{Replica: lb.Replica{Address: netip.AddrPortFrom(replica(100+n).Addr(), port), Weight: 1}})
		}
		return with(i, s.WithReplicas(all))
	}
}

// startCrowd starts an engine with a service.
func startCrowd(t *testing.T) (*Engine, *links, *counted) {
	dp, kept := newLinks(), &counted{}
	e, err := Start(t.Context(), Options{Dataplane: dp, Store: kept}, wanting("eth0"))
	if err != nil {
		t.Fatal(err)
	}
	return e, dp, kept
}

// TestTogether: changes that wait for one that is under way are made by one append and, where they are of one service, by one table,
// each with a revision, steps and an event of its own, in the order in which they came. Those that are refused leave the others alone.
func TestTogether(t *testing.T) {
	e, dp, kept := startCrowd(t)
	events := e.Subscribe()
	defer events.Close()
	sets, appends, began := dp.sets, kept.appends, e.Now().Number
	stale := func(*Snapshot) error { return ErrStale }
	atThree := func(now *Snapshot) error {
		if now.Number != began+3 {
			return fmt.Errorf("%w: %d", ErrStale, now.Number)
		}
		return nil
	}
	got := crowd(t, e, dp,
		Change{Actor: "a", Edit: scaled("shop", 1)},
		Change{Actor: "b", Edit: scaled("shop", 2)},
		Change{Actor: "c", Match: atThree, Edit: scaled("other", 1)},
		Change{Actor: "d", Match: stale, Edit: scaled("shop", 9)},
		Change{Actor: "e", Edit: func(i intent.Intent) (intent.Intent, error) { return i.WithoutService("none") }},
		Change{Actor: "f", Edit: func(intent.Intent) (intent.Intent, error) { panic("f panics") }},
		Change{Actor: "g", Edit: scaled("shop", 3)},
	)
	if sets, appends := dp.sets-sets, kept.appends-appends; sets != 3 || appends != 2 {
		t.Errorf("%d sets and %d appends, want first, shop and other, and first and all others", sets, appends)
	}
	number := began + 1
	for n, want := range []struct {
		actor string
		err   error
	}{{"a", nil}, {"b", nil}, {"c", nil}, {"d", ErrStale}, {"e", lb.ErrNotFound}, {"f", nil}, {"g", nil}} {
		o := got[n]
		switch {
		case want.actor == "f":
			if !strings.Contains(o.panicked, "f panics") || !strings.Contains(o.panicked, "group_test.go") {
				t.Errorf("f: %+v", o)
			}
		case want.err != nil:
			if !errors.Is(o.err, want.err) || o.now != nil {
				t.Errorf("%s: %v, %v", want.actor, o.now, o.err)
			}
		default:
			number++
			r, err := kept.Revision(t.Context(), number)
			if o.err != nil || err != nil || o.now.Number != number || r.Actor != want.actor || o.now.Actor != want.actor || !o.now.Time.Equal(r.Time) || !r.Intent.Equal(o.plan.After) || len(o.plan.Steps) != 1 {
				t.Errorf("%s: revision %d of %s, %v; stored %d of %s, %v; steps %v", want.actor, o.now.Number, o.now.Actor, o.err, number, r.Actor, err, o.plan.Steps)
			}
		}
	}
	for n := began + 1; n <= number; n++ {
		if got := <-events.Events(); got.Revision != n || len(got.Services) != 1 {
			t.Errorf("event %+v, want that of revision %d", got, n)
		}
	}
	if e.Now().Number != number || e.Now().Actor != "g" || e.NotReady() != "" {
		t.Errorf("revision %d of %s, %s", e.Now().Number, e.Now().Actor, e.NotReady())
	}
}

// TestOneIsRefusedTogether: one of which the datapath takes no service fails, and the others are made.
func TestOneIsRefusedTogether(t *testing.T) {
	e, dp, kept := startCrowd(t)
	bad, _ := scaled("bad", 1)(intent.Default())
	dp.refuses[bad.Services[0].VIP] = lb.ErrFull
	began := e.Now().Number
	got := crowd(t, e, dp, Change{Actor: "a", Edit: scaled("a", 1)}, Change{Actor: "bad", Edit: scaled("bad", 1)}, Change{Actor: "c", Edit: scaled("c", 1)})
	for n, want := range []error{nil, lb.ErrFull, nil} {
		if !errors.Is(got[n].err, want) {
			t.Errorf("%d: %v, want %v", n, got[n].err, want)
		}
	}
	if now := e.Now(); now.Number != began+3 || now.Intent.NameOf(bad.Services[0].VIP) != "" || got[2].now.Number != began+3 {
		t.Errorf("revision %d, that of c %d: %+v", now.Number, got[2].now.Number, now.Intent.Services)
	}
	all, err := dp.Services()
	if latest, _ := kept.Latest(t.Context()); err != nil || len(all) != 4 || !latest.Intent.Equal(e.Now().Intent) {
		t.Errorf("%d services are forwarded, %v", len(all), err)
	}
}

// TestFullStoreTogether: what cannot be stored is refused to all, and nothing is different.
func TestFullStoreTogether(t *testing.T) {
	e, dp, kept := startCrowd(t)
	began := e.Now().Number
	got := crowd(t, e, dp, Change{Edit: func(i intent.Intent) (intent.Intent, error) { kept.Fail(lb.ErrFull); return scaled("a", 1)(i) }}, Change{Edit: scaled("b", 1)})
	for n, o := range got {
		if !errors.Is(o.err, lb.ErrFull) {
			t.Errorf("%d: %v", n, o.err)
		}
	}
	if all, err := dp.Services(); err != nil || len(all) != 2 || e.Now().Number != began+1 {
		t.Errorf("%d services, revision %d, %v", len(all), e.Now().Number, err)
	}
}
