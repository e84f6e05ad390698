package rest_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/api"
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// drain puts the first replica of web into draining, until a time if that is one.
func (w *world) drain(until time.Time) {
	w.t.Helper()
	r := api.Replica{Address: "10.0.0.1:80", State: "draining"}
	if !until.IsZero() {
		r.DrainUntil = until.Format(time.RFC3339)
	}
	if _, err := w.client.PutReplica(w.t.Context(), "web", r); err != nil {
		w.t.Fatal(err)
	}
}

// first returns the first replica of web, as the API shows it.
func (w *world) first() api.ReplicaStatus {
	w.t.Helper()
	all, err := w.client.Replicas(w.t.Context(), "web")
	if err != nil {
		w.t.Fatal(err)
	}
	return all.Replicas[0]
}

func (w *world) wantFirst(state, until string) {
	w.t.Helper()
	if r := w.first(); r.State != state || r.DrainUntil != until {
		w.t.Errorf("the replica is %s until %q, want %s until %q", r.State, r.DrainUntil, state, until)
	}
}

// watchSet returns a channel on which every service that is set is sent.
func (w *world) watchSet() <-chan lb.Service {
	set := make(chan lb.Service, 10)
	w.dp.refuseWith(func(s lb.Service) error { set <- s; return nil })
	return set
}

func (w *world) waitSet(set <-chan lb.Service) lb.Service {
	w.t.Helper()
	select {
	case s := <-set:
		return s
	case <-time.After(time.Minute):
		w.t.Fatal("nothing was set")
		return lb.Service{}
	}
}

// TestDrainDeadline: the replica is down at the second of its deadline, not before, in
// datapath and API, also after a restart.
func TestDrainDeadline(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	w.drain(noon.Add(90 * time.Second))
	set := w.watchSet()
	for range 89 {
		if d := w.clock.waitArmed(t); d != time.Second {
			t.Fatalf("waits for %v", d)
		}
		w.clock.advance(time.Second)
	}
	w.clock.waitArmed(t)
	w.clock.advance(time.Second - time.Nanosecond)
	w.wantFirst("draining", "2030-01-31T12:01:30Z")
	if len(set) > 0 {
		t.Errorf("set too early: %+v", <-set)
	}
	w.clock.advance(time.Nanosecond)
	if s := w.waitSet(set); s.Replicas[0].State != lb.Down || s.TableSize != 1 {
		t.Errorf("set %+v at the deadline", s)
	}
	w.stop() // ends when the change is whole
	w = startAt(t, w.dir(), w.dp.Datapath, w.clock)
	w.wantFirst("down", "")
	if _, revision, err := w.client.Config(t.Context()); err != nil || revision != 3 {
		t.Errorf("revision %d, %v; want 3: apply, drain; a deadline is no change of the intent", revision, err)
	}
}

// TestDrainDeadlineOutlivesTheDaemon: it is in the store, and met at the start when it passed
// meanwhile.
func TestDrainDeadlineOutlivesTheDaemon(t *testing.T) {
	dir, memory, clock := shortDir(t), newMemory(), newClock()
	w := startAt(t, dir, memory, clock)
	w.apply(web)
	w.drain(noon.Add(time.Hour))
	w.stop()
	clock.advance(59 * time.Minute)
	w = startAt(t, dir, memory, clock)
	w.wantFirst("draining", "2030-01-31T13:00:00Z")
	w.stop()
	clock.advance(time.Minute)
	w = startAt(t, dir, memory, clock)
	w.wantFirst("down", "")
	services, err := memory.Services()
	if err != nil || services[0].Replicas[0].State != lb.Down {
		t.Errorf("forwarded %+v, %v", services, err)
	}
}

// TestDeadlineThatHasPassed: it sets the replica down at once.
func TestDeadlineThatHasPassed(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	w.drain(noon)
	w.wantFirst("down", "")
	change, err := w.client.PutReplica(t.Context(), "web",
		api.Replica{Address: "10.0.0.1:80", State: "draining", DrainUntil: "2030-01-31T11:59:59Z"})
	if err != nil || len(change.Steps) != 0 {
		t.Errorf("the same again: %+v, %v", change, err)
	}
}

// TestEarlierDeadline: a wait for a deadline is shortened by an earlier one, and ended when there is none.
func TestEarlierDeadline(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	w.drain(noon.Add(time.Hour))
	w.clock.waitArmed(t)
	set := w.watchSet()
	w.drain(noon.Add(time.Second))
	w.clock.waitArmed(t)
	w.clock.advance(time.Second)
	if s := w.waitSet(set); s.Replicas[0].State != lb.Down {
		t.Errorf("set %+v", s)
	}
	w.drain(time.Time{})
	w.wantFirst("draining", "")
	w.drain(noon.Add(time.Hour))
	if _, err := w.client.PutReplica(t.Context(), "web", api.Replica{Address: "10.0.0.1:80"}); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(2 * time.Hour)
	w.wantFirst("active", "")
}

// TestDeadlineIsTriedAgain: a datapath that refuses is asked again.
func TestDeadlineIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	w.drain(noon.Add(time.Second))
	set := make(chan lb.Service, 10)
	refusals := 2
	w.dp.refuseWith(func(s lb.Service) error {
		set <- s
		if refusals--; refusals >= 0 && s.Replicas[0].State == lb.Down {
			return lb.ErrFull
		}
		return nil
	})
	w.clock.waitArmed(t)
	w.clock.advance(time.Second)
	for range 2 {
		w.waitSet(set)
		if d := w.waitRetry(); d != 10*time.Second {
			t.Errorf("tried again after %v", d)
		}
		w.clock.advance(10 * time.Second)
	}
	if s := w.waitSet(set); s.Replicas[0].State != lb.Down {
		t.Errorf("set %+v", s)
	}
	w.stop()
	if stored, err := startAt(t, w.dir(), w.dp.Datapath, w.clock).client.Replicas(t.Context(), "web"); err != nil || stored.Replicas[0].State != "down" {
		t.Errorf("stored %+v, %v", stored, err)
	}
}

// waitRetry waits until somebody waits for longer than a second.
func (w *world) waitRetry() time.Duration {
	for {
		if d := w.clock.waitArmed(w.t); d > time.Second {
			return d
		}
	}
}

// TestSafeToRemove: a replica that drains is safe to remove when nobody has sent to it for the
// idle time, an active one never.
func TestSafeToRemove(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	if r := w.first(); r.SafeToRemove || r.State != "active" {
		t.Errorf("an active one: %+v", r)
	}
	w.drain(time.Time{})
	if r := w.first(); r.SafeToRemove || r.FlowCounts.OldFlowSlots == 0 || !r.FlowCounts.AtLeast {
		t.Errorf("flows from before are not known to be gone: %+v", r)
	}
	service, err := w.client.Service(t.Context(), "web")
	if err != nil || service.SlotsInTransition == 0 {
		t.Errorf("slots in transition of %+v, %v", service, err)
	}
	w.dp.Advance(2 * lb.DefaultIdle(6))
	if r := w.first(); !r.SafeToRemove || r.FlowCounts != (api.ReplicaFlows{}) {
		t.Errorf("after the idle time: %+v", r)
	}
	all, err := w.client.Flows(t.Context())
	want := api.Flows{Services: []api.ServiceFlows{{
		Name: "web", Endpoint: api.Endpoint{VIP: "192.0.2.1:80", Protocol: "tcp"}, Tracking: "changes", Slots: 1,
		Replicas: []api.ReplicaStatus{
			{Replica: api.Replica{Address: "10.0.0.1:80", Weight: one(), State: "draining"}, SafeToRemove: true, ByHand: api.ByHand{DrainPhase: "drained"}},
			{Replica: api.Replica{Address: "10.0.0.2:80", Weight: one(), State: "active"}, FlowCounts: api.ReplicaFlows{AtLeast: true}},
		},
	}}}
	if diff := cmp.Diff(want, all); diff != "" || err != nil {
		t.Errorf("flows (-want +got): %v\n%s", err, diff)
	}
}

func one() *int64 { n := int64(1); return &n }

// TestServicePutBack: what GET answers can be put back.
func TestServicePutBack(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	w.drain(noon.Add(time.Hour))
	_, body := w.request("GET", "/v1/services/web", "")
	response, answer := w.request("PUT", "/v1/services/web", body, "Content-Type", "application/json")
	if response.StatusCode != http.StatusOK {
		t.Fatalf("put back %s: %s", body, answer)
	}
	w.wantFirst("draining", "2030-01-31T13:00:00Z")
}

func TestPlanSaysWhatMoves(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	before := w.forwarded()
	plan, err := w.client.Plan(t.Context(), doc(t, web[:len(web)-len(", {address: 10.0.0.2:80}]\n")]+", {address: 10.0.0.3:80}]\n    tracking: always\n    idle: 90s\n"))
	if err != nil || len(plan.Steps) != 1 || plan.Steps[0].Effect == nil {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	want := api.Effect{
		Changes: []api.FieldChange{
			{Field: "tracking", Before: "changes", After: "always"}, {Field: "idle", Before: "10m0s", After: "1m30s"},
			{Field: "replicas[10.0.0.3:80]", After: "active"}, {Field: "replicas[10.0.0.2:80]", Before: "active"},
		},
		MovedParts: 1, Parts: 2, Share: 0.5, AtLeast: true,
	}
	if diff := cmp.Diff(want, *plan.Steps[0].Effect); diff != "" {
		t.Errorf("effect (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, w.forwarded()); diff != "" {
		t.Errorf("the plan was done:\n%s", diff)
	}
	if _, err := w.client.Apply(t.Context(), doc(t, web)); err != nil {
		t.Error(err)
	}
}

// TestClockIsSet: a deadline is a time of day. A clock that is set back puts it off, one that is
// set forward brings it on, within a second.
func TestClockIsSet(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	w.drain(noon.Add(time.Minute))
	set := w.watchSet()
	w.clock.waitArmed(t)
	w.clock.set(noon.Add(-time.Hour))
	for range 120 { // seconds
		w.clock.advance(time.Second)
		w.clock.waitArmed(t)
	}
	w.wantFirst("draining", "2030-01-31T12:01:00Z")
	w.clock.set(noon.Add(time.Hour))
	w.clock.advance(time.Second)
	if s := w.waitSet(set); s.Replicas[0].State != lb.Down {
		t.Errorf("set %+v", s)
	}
	if len(set) > 0 {
		t.Errorf("set again: %+v", <-set)
	}
}

// TestPlanShowsADeadline: what needs no step of the datapath is not nothing.
func TestPlanShowsADeadline(t *testing.T) {
	w := newWorld(t)
	w.apply(web)
	w.drain(noon.Add(time.Hour))
	doc, revision, err := w.client.Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	doc.Services[0].Replicas[0].DrainUntil = "2030-01-31T12:00:30Z"
	want := []api.FieldChange{{Field: "services[web].replicas[10.0.0.1:80].drain_until", Before: "2030-01-31T13:00:00Z", After: "2030-01-31T12:00:30Z"}}
	plan, err := w.client.Plan(t.Context(), doc)
	if diff := cmp.Diff(api.Change{Revision: revision, Steps: []api.Step{}, Intent: want}, plan); diff != "" || err != nil {
		t.Errorf("plan (-want +got): %v\n%s", err, diff)
	}
	done, err := w.client.ApplyAt(t.Context(), doc, revision)
	if diff := cmp.Diff(api.Change{Revision: revision + 1, Steps: []api.Step{}, Intent: want}, done); diff != "" || err != nil {
		t.Errorf("apply (-want +got): %v\n%s", err, diff)
	}
}

// TestStepsHaveNames: a step names its service as the intent after it does.
func TestStepsHaveNames(t *testing.T) {
	w := newWorld(t)
	for _, change := range []api.Change{w.apply(web), w.apply(strings.Replace(web, "10.0.0.2", "10.0.0.3", 1))} {
		if len(change.Steps) != 1 || change.Steps[0].Service.Name != "web" {
			t.Errorf("change %+v", change)
		}
	}
}

// While a replica drains, what is sent to it is measured, and until then it is not known.
func TestDrainRate(t *testing.T) {
	w := routedWorld(t)
	if r := w.first().Rate; r.Known {
		t.Errorf("it does not drain: %+v", r)
	}
	w.drain(time.Time{})
	becomes := func(what string, is func(api.Rate) bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; w.clock.advance(time.Second) {
			w.clock.waitArmed(t)
			if is(w.first().Rate) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the rate is not %s but %+v", what, w.first().Rate)
			}
		}
	}
	becomes("known", func(r api.Rate) bool { return r.Known })
	sent := 0
	for port := range uint16(20) { // old flows, of which some are the replica's
		frame := packet.Frame{Flags: packet.ACK, Flow: packet.Flow{
			Source: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), 40000+port), Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP,
		}}.Marshal()
		if x, err := w.dp.Explain(lb.Probe{Ingress: 2, Frame: frame}); err != nil {
			t.Fatal(err)
		} else if x.Replica == netip.MustParseAddrPort("10.0.0.1:80") {
			sent++
		}
		w.dp.Process(2, frame)
	}
	if sent == 0 || sent == 20 {
		t.Fatalf("%d of 20 flows are the replica's, want some", sent)
	}
	becomes("that of what was sent", func(r api.Rate) bool { return r.PacketsPerSecond == float64(sent) })
	all, err := w.client.Flows(t.Context())
	if err != nil || all.Services[0].Replicas[0].Rate != w.first().Rate {
		t.Errorf("flows have %+v, %v, want %+v", all, err, w.first().Rate)
	}
}

// The list of all replicas has what is sent to them, and no flows are counted for it, nor for one service.
func TestTraffic(t *testing.T) {
	w := routedWorld(t)
	w.dp.Process(2, frameToWeb(packet.SYN))
	w.drain(time.Time{})
	counted := w.dp.counts.Load()
	all, err := w.client.Traffic(t.Context())
	if _, err := w.client.Service(t.Context(), "web"); err != nil {
		t.Error(err)
	}
	if w.dp.counts.Load() != counted {
		t.Error("flows were counted")
	}
	want := []api.ReplicaTraffic{{Replica: api.Replica{Address: "10.0.0.1:80", Weight: one(), State: "draining"}, ByHand: api.ByHand{DrainPhase: "draining"}}, {Replica: api.Replica{Address: "10.0.0.2:80", Weight: one(), State: "active"}}}
	c, countersErr := w.client.Counters(t.Context())
	for n := range want {
		want[n].ServiceName, want[n].VIP, want[n].Protocol = "web", "192.0.2.1:80", "tcp"
		want[n].Packets, want[n].Bytes, want[n].FlowEvents = c.Replicas[n].Packets, c.Replicas[n].Bytes, c.Replicas[n].FlowEvents
	}
	if diff := cmp.Diff(want, all.Replicas); diff != "" || err != nil || countersErr != nil || want[0].Packets+want[1].Packets == 0 || want[0].NewFlows+want[1].NewFlows == 0 {
		t.Errorf("(-want +got): %v, %v\n%s", err, countersErr, diff)
	}
}

// A replica to which no packet can get is refused, also when it is only planned. If its address becomes so later, its reason says it.
func TestReplicaUnfit(t *testing.T) {
	const own = "10.0.0.1 is the balancer's own"
	dir := t.TempDir()
	unfit := func() *oracle.Datapath {
		return oracle.New(oracle.Config{Unfit: map[netip.Addr]string{netip.MustParseAddr("10.0.0.1"): "the balancer's own"}})
	}
	w := start(t, dir, unfit())
	for _, path := range []string{"POST /v1/plan", "PUT /v1/config"} {
		method, path, _ := strings.Cut(path, " ")
		if r, text := w.request(method, path, unfitConfig); r.StatusCode != http.StatusUnprocessableEntity ||
			!strings.Contains(text, "services[0].replicas[0].address: "+own) {
			t.Errorf("%s %s: %d %s", method, path, r.StatusCode, text)
		}
	}
	w.stop()
	w = start(t, dir, oracle.New(oracle.Config{}))
	if r, text := w.request("PUT", "/v1/config", unfitConfig); r.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", r.StatusCode, text)
	}
	w.stop()
	w = start(t, dir, unfit())
	if r := w.first(); r.Reason != own {
		t.Errorf("%+v, want the reason %q", r, own)
	}
	if all, err := w.client.Traffic(t.Context()); err != nil || all.Replicas[0].Reason != own || all.Replicas[1].Reason != "" {
		t.Errorf("%+v, %v, want the reason %q of the first", all, err, own)
	}
}

const unfitConfig = `{"services": [{"name": "web", "vip": "192.0.2.1:80", "replicas": [{"address": "10.0.0.1:80"}, {"address": "10.0.0.2:80"}]}]}`
