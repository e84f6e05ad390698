// Package contract tests what lb.Dataplane promises, of any implementation. Run is the contract: packet cases
// of the form "a valid packet, one named change, the verdict, the bytes, the exact counters", and what
// services, flows, counters, interfaces and monitors do. Differential compares an implementation with the
// reference of package oracle over random configurations and packets.
//
// An implementation comes in a Harness. It is in the network that Links, Neighbours and Routes describe.
package contract

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lbctl/lb"
	"lbctl/lb/oracle"
)

// Harness is an empty datapath, and a way to give it frames. Only one goroutine at a time
// calls Send.
type Harness struct {
	// Dataplane has the capacities Limits, the RSS key rss.MicrosoftKey, no services, nothing
	// attached, and counters at 0. Nothing but Send gives it frames. It was made with NoService.
	Dataplane lb.Dataplane
	NoService lb.NoService

	// Send gives it a frame as if it had come in on the link of that name, attached or not, and
	// returns what became of it. Reason may be left empty: it is taken from the counters. It
	// must work after Dataplane.Close.
	Send func(link string, frame []byte) (oracle.Verdict, error)

	// Advance lets so much time pass for records and slots in transition. No other time passes for them.
	Advance func(t *testing.T, d time.Duration)

	// ForgetFragments forgets all fragments that were seen. A real table does when it is full.
	ForgetFragments func(t *testing.T)

	// Indexes are the indexes of the links in Verdict.Egress, by name; nil when Send cannot tell
	// by which link a frame leaves.
	Indexes map[string]int

	// Ingress are the indexes of the links in Probe.Ingress, by name; nil when they are those
	// of Indexes.
	Ingress map[string]int

	// MinFrame and MaxFrame bound the frames that Send can deliver, in bytes. MaxFrame is at least
	// 1,514, and 0 means that.
	MinFrame, MaxFrame int

	// Held names an interface that another XDP program holds, "" when there is none; Holder
	// is what the error must name then.
	Held, Holder string

	// Reopen opens the datapath again after Dataplane.Close; nil when it cannot be.
	Reopen func(t *testing.T) lb.Dataplane
}

// Limits are the capacities of every datapath under test: small, so that tests can fill it. There is room for
// more flows than tests have, so that no record is evicted.
func Limits() lb.Limits {
	return lb.Limits{Services: 16, Replicas: 128, Slots: 8192, Flows: 1 << 16, SourceRanges: 128}
}

// longest is the length of the longest frame that can be sent.
func (h Harness) longest() int { return max(h.MaxFrame, 1514) }

// Run tests all promises; open returns a new Harness on every call and
// registers with t what must be closed.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	t.Run("services", func(t *testing.T) { testServices(t, open) })
	t.Run("refusals", func(t *testing.T) { testRefusals(t, open) })
	t.Run("unfit addresses", func(t *testing.T) { testUnfit(t, open) })
	t.Run("capacity", func(t *testing.T) { testCapacity(t, open) })
	t.Run("interfaces", func(t *testing.T) { testInterfaces(t, open) })
	t.Run("packets", func(t *testing.T) { testPackets(t, open) })
	t.Run("random packets", func(t *testing.T) { testRandomPackets(t, open) })
	t.Run("ports", func(t *testing.T) { testPorts(t, open) })
	t.Run("limits", func(t *testing.T) { testLimits(t, open) })
	t.Run("spread", func(t *testing.T) { testSpread(t, open) })
	t.Run("tunnel errors", func(t *testing.T) { testTunnelErrors(t, open) })
	t.Run("fragments", func(t *testing.T) { testFragments(t, open) })
	t.Run("vip addresses", func(t *testing.T) { testVIPAddresses(t, open) })
	t.Run("sweeps", func(t *testing.T) { testSweeps(t, open) })
	t.Run("families", func(t *testing.T) { testFamilies(t, open) })
	t.Run("counters", func(t *testing.T) { testCounters(t, open) })
	t.Run("flow counts", func(t *testing.T) { testFlowCounts(t, open) })
	t.Run("changes", func(t *testing.T) { testChanges(t, open) })
	t.Run("records", func(t *testing.T) { testRecords(t, open) })
	t.Run("always", func(t *testing.T) { testAlways(t, open) })
	t.Run("ended", func(t *testing.T) { testEnded(t, open) })
	t.Run("tracking", func(t *testing.T) { testTracking(t, open) })
	t.Run("following", func(t *testing.T) { testFollowing(t, open) })
	t.Run("explain", func(t *testing.T) { testExplain(t, open) })
	t.Run("monitor", func(t *testing.T) { testMonitor(t, open) })
	t.Run("switch", func(t *testing.T) { testSwitch(t, open) })
	t.Run("close", func(t *testing.T) { testClose(t, open) })
}

// RunRejecting tests what is promised of lb.RejectNoService, with which open makes its Harness.
func RunRejecting(t *testing.T, open func(t *testing.T) Harness) {
	t.Run("vip addresses", func(t *testing.T) { testVIPAddresses(t, open) })
}

// Oracle opens the reference datapath in the network of Links.
func Oracle(t *testing.T) Harness { return oracleWith(t, lb.DropNoService) }

// OracleRejecting is Oracle for RunRejecting.
func OracleRejecting(t *testing.T) Harness { return oracleWith(t, lb.RejectNoService) }

func oracleWith(t *testing.T, n lb.NoService) Harness {
	indexes := Indexes()
	m := oracle.New(oracle.Config{Limits: Limits(), NoService: n, Interfaces: indexes, MTUs: MTUs(), Routes: Routes(), Unfit: Unfit()})
	t.Cleanup(func() { m.Close() })
	return Harness{
		Dataplane: m, NoService: n,
		Send: func(link string, frame []byte) (oracle.Verdict, error) {
			index, found := indexes[link]
			if !found {
				return oracle.Verdict{}, fmt.Errorf("send on %s: %w", link, lb.ErrNotFound)
			}
			return m.Process(index, frame), nil
		},
		Advance:         func(_ *testing.T, d time.Duration) { m.Advance(d) },
		ForgetFragments: func(*testing.T) { m.ForgetFragments() },
		Indexes:         indexes,
		MaxFrame:        9014,
		Reopen:          func(*testing.T) lb.Dataplane { return m.Reopen() },
	}
}

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
	all := must(b.t, "read counters", b.Dataplane.Counters)
	equal(b.t, "counters by reason alone", must(b.t, "read counters by reason", b.Dataplane.ReasonCounts), lb.Counters{Reasons: all.Reasons, Losses: all.Losses, LossesUnknown: all.LossesUnknown})
	return all
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
