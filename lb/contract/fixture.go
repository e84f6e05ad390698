package contract

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lbctl/lb"
	"lbctl/lb/oracle"
)

// fixture is a harness on which a test works; every error ends the test.
type fixture struct {
	Harness
	t *testing.T
}

func newFixture(t *testing.T, open func(t *testing.T) Harness) fixture {
	t.Helper()
	return fixture{open(t), t}
}

// compare are the options for comparing values of package lb: an empty list or map equals none.
func compare() cmp.Options {
	return cmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{}, netip.Prefix{})}
}

// equal fails the test when got is not want.
func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := difference(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// difference says what is in one value and not in the other, "" when they are equal.
func difference(want, got any) string {
	if reflect.DeepEqual(want, got) { // a tenth of the time of cmp
		return ""
	}
	return cmp.Diff(want, got, compare())
}

// set adds or replaces services.
func (b fixture) set(services ...lb.Service) {
	b.t.Helper()
	for _, s := range services {
		if err := b.Dataplane.SetService(b.t.Context(), s); err != nil {
			b.t.Fatalf("set %v: %v", s.VIP, err)
		}
	}
}

func (b fixture) remove(v lb.VIP) {
	b.t.Helper()
	if err := b.Dataplane.RemoveService(b.t.Context(), v); err != nil {
		b.t.Fatalf("remove %v: %v", v, err)
	}
}

func (b fixture) services() []lb.Service {
	b.t.Helper()
	return must(b.t, "list services", b.Dataplane.Services)
}

func (b fixture) interfaces() []lb.Interface {
	b.t.Helper()
	return must(b.t, "list interfaces", b.Dataplane.Interfaces)
}

func (b fixture) counters() lb.Counters {
	b.t.Helper()
	return must(b.t, "read counters", b.Dataplane.Counters)
}

func (b fixture) explain(p lb.Probe) lb.Explanation {
	b.t.Helper()
	return must(b.t, "explain", func() (lb.Explanation, error) { return b.Dataplane.Explain(p) })
}

func must[T any](t *testing.T, what string, get func() (T, error)) T {
	t.Helper()
	v, err := get()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return v
}

// send gives the datapath a copy of the frame.
func (b fixture) send(link string, frame []byte) oracle.Verdict {
	b.t.Helper()
	v, err := b.Send(link, append([]byte(nil), frame...))
	if err != nil {
		b.t.Fatalf("send %d bytes on %s: %v", len(frame), link, err)
	}
	return v
}

// state is all that a datapath tells of itself.
type state struct {
	Services   []lb.Service
	Interfaces []lb.Interface
	Counters   lb.Counters
}

func (b fixture) state() state {
	b.t.Helper()
	return state{b.services(), b.interfaces(), b.counters()}
}

// unchanged checks that run changes nothing.
func (b fixture) unchanged(what string, run func()) {
	b.t.Helper()
	before := b.state()
	run()
	equal(b.t, "state after "+what, b.state(), before)
}
