package engine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"lbctl/control/intent"
	"lbctl/control/reconcile"
	"lbctl/control/store"
	"lbctl/control/store/storetest"
	"lbctl/lb"
)

// dns returns a service beside web.
func dns() intent.Service {
	s := web()
	s.Name, s.VIP.Address = "dns", replica(53)
	return s.WithReplica(intent.Replica{Replica: lb.Replica{Address: replica(9), Weight: 1, State: lb.Active}})
}

// A service that is stored and that the datapath refuses, after a reboot for instance, blocks neither the start nor a
// change of something else, shows, and is set when it can be.
func TestARefusedServiceBlocksNothing(t *testing.T) {
	i := wanting("eth0")
	i.Services = append(i.Services, intent.List(dns())...)
	kept := &storetest.Memory{}
	if _, err := kept.Append(t.Context(), 0, store.Revision{Intent: i}); err != nil {
		t.Fatal(err)
	}
	dp := newLinks()
	dp.refuseVIP(dns().VIP, lb.ErrFull)
	w := runWorld(t, dp, kept, i)
	if why := w.NotReady(); !strings.Contains(why, "service dns is not forwarded as intended") || !strings.Contains(why, "full") {
		t.Errorf("not ready: %q", why)
	}
	if w.state(1) != lb.Active {
		t.Errorf("replica 1 of web is %v", w.state(1))
	}
	w.mustEdit(func(i intent.Intent) (intent.Intent, error) { return with(i, web(in(lb.Down), in(lb.Active))) })
	if w.state(1) != lb.Down || w.NotReady() == "" {
		t.Errorf("replica 1 of web is %v, not ready: %q", w.state(1), w.NotReady())
	}
	if _, err := w.edit(func(i intent.Intent) (intent.Intent, error) {
		changed := dns()
		changed.Seed = 7
		return with(i, changed)
	}); !errors.Is(err, lb.ErrFull) {
		t.Errorf("a change of the service that is refused: %v", err)
	}
	w.wantNews(IntentChanged{"test", "edit"})
	dp.refuseVIP(dns().VIP, nil)
	w.wantNews(InSync{})
	if all, err := dp.Services(); err != nil || len(all) != 2 || w.NotReady() != "" {
		t.Errorf("%d services, %v; not ready: %q", len(all), err, w.NotReady())
	}
}

// A start that is interrupted leaves what it found.
func TestAnInterruptedStart(t *testing.T) {
	dp := newLinks()
	before := startWorld(t, dp, wanting("eth0")).Now().Effective
	ctx, interrupt := context.WithCancel(t.Context())
	i := wanting("eth1")
	i.Services = intent.List(dns(), web(in(lb.Down)))
	first := dp.sets
	dp.hook = func() {
		if dp.sets > first { // one service was set
			interrupt()
		}
	}
	_, err := Start(ctx, Options{Dataplane: cancelled{dp}, Store: &storetest.Memory{}}, i)
	if !errors.Is(err, context.Canceled) || dp.sets == first {
		t.Errorf("start: %v after %d services were set", err, dp.sets-first)
	}
	found, err := reconcile.Current(dp)
	if err != nil {
		t.Fatal(err)
	}
	if steps := reconcile.Plan(found, stateOf(before), before.Datapath.Limits); len(steps) > 0 {
		t.Errorf("to what was there before: %v", steps)
	}
}

// cancelled is a datapath that does nothing once its context has ended.
type cancelled struct{ *links }

func (c cancelled) SetService(ctx context.Context, s lb.Service) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.links.SetService(ctx, s)
}

func (c cancelled) RemoveService(ctx context.Context, v lb.VIP) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.links.RemoveService(ctx, v)
}

// A plan sees the datapath before a change or after it.
func TestAPlanDuringAChange(t *testing.T) {
	dp := newLinks()
	i := wanting()
	i.Services = append(i.Services, intent.List(dns())...)
	w := startWorld(t, dp, i)
	change := func(i intent.Intent) (intent.Intent, error) {
		i.Services = intent.List(web(in(lb.Down), in(lb.Active)), dns().WithReplicas(nil))
		return i, nil
	}
	var plans []chan int
	dp.hook = func() { // before each of the two steps
		planned := make(chan int, 1)
		plans = append(plans, planned)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, p, err := w.Plan(Change{Edit: change})
			if err != nil {
				t.Error(err)
			}
			planned <- len(p.Steps)
		}()
		select { // a plan that does not wait for the change has been made by then
		case <-done:
		case <-time.After(50 * time.Millisecond):
		}
	}
	w.mustEdit(change)
	if len(plans) != 2 {
		t.Errorf("%d steps, want 2", len(plans))
	}
	for _, planned := range plans {
		if n := <-planned; n == 1 {
			t.Error("a plan of one step, after one of two")
		}
	}
}

// What an earlier process has told of is not told again.
func TestARestartTellsNothingAgain(t *testing.T) {
	dp, kept := newLinks(), &storetest.Memory{}
	i := wanting()
	i.Services = intent.List(web(in(lb.Active), until(noon.Add(-time.Hour))))
	for restart := range 2 {
		e, err := Start(t.Context(), Options{Dataplane: dp, Store: kept, Clock: &handClock{now: noon}}, i)
		if err != nil {
			t.Fatal(err)
		}
		kept, _, _ := e.EventsAfter(0)
		for _, event := range kept {
			if _, is := event.News.(ReplicaChanged); is && restart > 0 {
				t.Errorf("told again: %+v", event.News)
			}
		}
	}
}

// What a change removes is in the log, by name.
func TestRemovalsAreLogged(t *testing.T) {
	var log bytes.Buffer
	dp := newLinks()
	i := wanting("eth0")
	i.Services = append(i.Services, intent.List(dns())...)
	e, err := Start(t.Context(), Options{Dataplane: dp, Store: &storetest.Memory{}, Logger: slog.New(slog.NewTextHandler(&log, nil))}, i)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(log.String(), "removed") {
		t.Errorf("at the start: %s", &log)
	}
	_, _, err = e.Change(t.Context(), Change{Edit: func(i intent.Intent) (intent.Intent, error) {
		i.Services, i.Interfaces = intent.List(web(in(lb.Active))), nil
		return i, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"removed service" service=dns`, `"removed replica" service=web replica=10.0.0.2:80`, `"detached interface" interface=eth0`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in\n%s", want, &log)
		}
	}
}

// What a datapath forwards is taken over as an intent, under names of its own, and nothing changes.
func TestRecover(t *testing.T) {
	dp := newLinks()
	if _, found, err := Recover(dp, intent.Default().Datapath); found || err != nil {
		t.Errorf("of an empty one: %v, %v", found, err)
	}
	i := wanting("eth0")
	i.Services = append(i.Services, intent.List(dns())...)
	startWorld(t, dp, i)
	got, found, err := Recover(dp, i.Datapath)
	if err != nil || !found || len(got.Services) != 2 || got.Services[1].Name != "tcp-192-0-2-1-80" {
		t.Fatalf("%+v, %v, %v", got, found, err)
	}
	before := dp.sets
	e, err := Start(t.Context(), Options{Dataplane: dp, Store: &storetest.Memory{}}, got)
	if err != nil || dp.sets != before || e.NotReady() != "" || !e.Now().Intent.Equal(got) {
		t.Errorf("%d services set, %v", dp.sets-before, err)
	}
}
