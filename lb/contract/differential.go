package contract

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/lb/oracle"
)

// Differential makes the same random changes to the services of a datapath and of the reference, sends both
// the same n random packets and lets the same time pass. It compares errors, actions, bytes, all counters and
// records of flows. Packets are valid ones, mostly with one or two named changes. The same seed gives the same
// run.
func Differential(t *testing.T, seed uint64, n int, open func(t *testing.T) Harness) {
	t.Helper()
	if err := newComparison(t, seed, open(t)).run(n); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	t.Logf("seed %d: %d packets", seed, n)
}

// DifferentialFlows is Differential with valid packets of few flows to few services, so that the same flows come
// again and again: they are recorded, promoted, forgotten, and lose their replicas.
func DifferentialFlows(t *testing.T, seed uint64, n int, open func(t *testing.T) Harness) {
	t.Helper()
	d := newComparison(t, seed, open(t))
	d.few = true
	if err := d.run(n); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	t.Logf("seed %d: %d packets", seed, n)
}

// comparison is a run of Differential.
type comparison struct {
	t *testing.T
	// few selects the services and packets of DifferentialFlows.
	few bool
	// thorough is the number of packets of which each is explained first, and after each batch of which all is compared.
	thorough int
	// Both get the same. The subject is compared with the reference.
	subject, reference Harness
	random             *rand.Rand
	indexes            map[string]int
	// drawn is the number of packets so far, compared that of those that were short enough to be sent.
	drawn, compared int
	// monitors are those of both, nil if the run is not monitored.
	monitors [2]lb.Monitor
}

func newComparison(t *testing.T, seed uint64, subject Harness) *comparison {
	return &comparison{
		t: t, subject: subject, reference: oracleWith(t, subject.NoService),
		random:  rand.New(rand.NewPCG(seed, 0)),
		indexes: Indexes(), thorough: thorough,
	}
}

// batch is the number of packets between two passings of time.
const batch = 50

// remembered is the number of packets after which fragments are forgotten: the reference has room for all, but five in one
// line of the datapath's table are one too many.
const remembered = 40 * batch

// A long run goes on with longer rounds and batches: a change of services waits as long as hundreds of packets take, and an
// explanation takes several times as long as its packet.
const (
	thorough       = 100_000
	longBatch      = 4 * batch
	longRound      = 5 * longBatch
	explainedEvery = 32
	reportedEvery  = 1_000_000
)

func (d *comparison) run(n int) error {
	for d.drawn < n {
		round, batch := batch, batch
		if d.drawn >= d.thorough {
			round, batch = longRound, longBatch
		}
		if err := d.round(min(round, n-d.drawn), batch); err != nil {
			return fmt.Errorf("after %d packets: %w", d.drawn, err)
		}
		if d.drawn%reportedEvery == 0 {
			d.t.Logf("%d packets", d.drawn)
		}
	}
	return nil
}

// round changes services, sends n packets in batches, and compares what the two tell of themselves afterwards.
func (d *comparison) round(n, batch int) error {
	if err := d.reconfigure(); err != nil {
		return err
	}
	services, err := d.reference.Dataplane.Services()
	if err != nil {
		return err
	}
	before, err := d.bothCounters()
	if err != nil {
		return err
	}
	var sent []randomFrame
	for end := d.drawn + n; d.drawn < end; {
		if d.drawn%remembered == 0 {
			d.subject.ForgetFragments(d.t)
			d.reference.ForgetFragments(d.t)
		}
		if sent, err = d.packets(sent, min(batch, end-d.drawn), services); err != nil {
			return fmt.Errorf("%w\nservices: %+v", err, services)
		}
		d.passTime()
	}
	if err := d.counted(before); err != nil {
		return fmt.Errorf("%w\nafter the packets %q\nservices: %+v", err, sent, services)
	}
	return d.remember()
}

// passTime lets some time pass after most batches.
func (d *comparison) passTime() {
	for range d.random.IntN(3) {
		elapsed := time.Duration(d.random.Int64N(int64(2*step/time.Millisecond))) * time.Millisecond // a rate earns what can be told apart
		if d.few && d.random.IntN(5) == 0 {
			elapsed *= 8 // more than an idle time
		}
		d.subject.Advance(d.t, elapsed)
		d.reference.Advance(d.t, elapsed)
	}
}

// remember compares the records of flows. Nobody else changes the tables, so what is in the kernel is what was put there.
func (d *comparison) remember() error {
	if v, err := d.subject.Dataplane.Verify(d.t.Context(), false); err != nil || v.Found > 0 {
		return fmt.Errorf("verify: %+v, %w", v, err)
	}
	got, err := d.subject.Dataplane.Flows()
	if err != nil {
		return err
	}
	want, err := d.reference.Dataplane.Flows()
	if err != nil {
		return err
	}
	if diff := difference(want, got); diff != "" {
		return fmt.Errorf("flows remembered (-reference +subject):\n%s", diff)
	}
	for v, of := range want {
		if n, err := d.subject.Dataplane.InTransition(v); err != nil || n != of.InTransition {
			return fmt.Errorf("%d slots of %v in transition, want %d: %w", n, v, of.InTransition, err)
		}
	}
	return nil
}

// packets draws n packets and sends those that are neither too short nor too long. It appends them to sent.
func (d *comparison) packets(sent []randomFrame, n int, services []lb.Service) ([]randomFrame, error) {
	for range n {
		f := d.nextFrame(services)
		d.drawn++
		if len(f.bytes) < d.subject.MinFrame || len(f.bytes) > d.subject.longest() {
			continue
		}
		if err := d.packet(f); err != nil {
			return nil, fmt.Errorf("%v on %s: %w", f, f.ingress, err)
		}
		sent = append(sent, f)
	}
	return sent, nil
}

// counted compares by how much the counters of both have moved.
func (d *comparison) counted(before [2]lb.Counters) error {
	after, err := d.bothCounters()
	if err != nil {
		return err
	}
	if diff := difference(moved(before[1], after[1]), moved(before[0], after[0])); diff != "" {
		return fmt.Errorf("counters moved (-reference +subject):\n%s", diff)
	}
	if diff := difference(movedFlows(before[1], after[1]), movedFlows(before[0], after[0])); diff != "" {
		return fmt.Errorf("flows counted (-reference +subject):\n%s", diff)
	}
	return nil
}

// bothCounters returns those of the subject, then those of the reference.
func (d *comparison) bothCounters() (both [2]lb.Counters, err error) {
	if both[0], err = d.subject.Dataplane.Counters(); err != nil {
		return both, err
	}
	both[1], err = d.reference.Dataplane.Counters()
	return both, err
}

// packet sends one frame to both, mostly after they have explained it.
func (d *comparison) packet(f randomFrame) error {
	var explained *lb.Explanation
	if d.compared++; d.compared <= d.thorough || d.compared%explainedEvery == 0 {
		e, err := d.explain(f)
		if err != nil {
			return fmt.Errorf("explain: %w", err)
		}
		explained = &e
	}
	got, err := d.subject.Send(f.ingress, slices.Clone(f.bytes))
	if err != nil {
		return err
	}
	want, err := d.reference.Send(f.ingress, slices.Clone(f.bytes))
	if err != nil {
		return err
	}
	if err := d.agree(got, want); err != nil {
		return err
	}
	if err := d.sampled(f.ingress); err != nil {
		return err
	}
	if explained == nil {
		return nil
	}
	if explained.Reason != want.Reason || want.Action != oracle.Drop && !slices.Equal(explained.After, want.Frame) {
		return fmt.Errorf("explained as %v, want %v:\n%s", explained.Reason, want.Reason, difference(hex(want.Frame), hex(explained.After)))
	}
	return nil
}

// explain lets both explain a frame, and compares the explanations.
func (d *comparison) explain(f randomFrame) (got lb.Explanation, err error) {
	got, err = d.subject.Dataplane.Explain(lb.Probe{Frame: slices.Clone(f.bytes), Ingress: d.subject.ingress(f.ingress)})
	if err != nil {
		return got, err
	}
	want, err := d.reference.Dataplane.Explain(lb.Probe{Frame: slices.Clone(f.bytes), Ingress: d.indexes[f.ingress]})
	if err != nil {
		return got, err
	}
	got.NextHop.Index, want.NextHop.Index = 0, 0
	if diff := difference(want, got); diff != "" {
		return got, fmt.Errorf("(-reference +subject):\n%s", diff)
	}
	return got, nil
}

// nextFrame draws a frame.
func (d *comparison) nextFrame(services []lb.Service) randomFrame {
	if d.few {
		return fewFrame(d.random)
	}
	return d.randomFrame(services)
}

// agree compares two verdicts.
func (d *comparison) agree(got, want oracle.Verdict) error {
	if got.Action != want.Action {
		return fmt.Errorf("action %v, want %v (%v)", got.Action, want.Action, want.Reason)
	}
	if got.Reason != "" && got.Reason != want.Reason {
		return fmt.Errorf("reason %v, want %v", got.Reason, want.Reason)
	}
	if want.Action != oracle.Drop && !slices.Equal(got.Frame, want.Frame) {
		return fmt.Errorf("%v: bytes (-reference +subject):\n%s", want.Reason, difference(hex(want.Frame), hex(got.Frame)))
	}
	if d.subject.Indexes != nil && linkOf(d.subject.Indexes, got.Egress) != linkOf(d.indexes, want.Egress) {
		return fmt.Errorf("%v: leaves by interface %d, want %s", want.Reason, got.Egress, linkOf(d.indexes, want.Egress))
	}
	return nil
}

// linkOf returns the name of an index, "" when it has none.
func linkOf(indexes map[string]int, index int) string {
	for name, i := range indexes {
		if i == index {
			return name
		}
	}
	return ""
}
