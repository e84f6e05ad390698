package rest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/store/storetest"
	"lbctl/lb"
	"lbctl/lb/oracle"
)

// TestEveryReasonHasAnAction compares with what lb says of its reasons: which are sent, answered
// and passed; all others are drops, and a new reason must be put into one of the lists.
func TestEveryReasonHasAnAction(t *testing.T) {
	want := map[lb.Reason]string{
		lb.Forwarded: redirect, lb.Returned: redirect, lb.ErrorForwarded: redirect, lb.ErrorReturned: redirect,
		lb.EchoAnswered: transmit, lb.TooBigAnswered: transmit, lb.Rejected: transmit,
		lb.NotIP: pass, lb.VLANTagged: pass, lb.NotTCPUDP: pass, lb.NotOurs: pass, lb.IPv6Extension: pass,
		lb.ForThisHost: pass, lb.OtherMAC: pass, lb.TTLExpired: pass, lb.NeighbourMissing: pass, lb.TooBigPassed: pass, lb.SuperPacketPassed: pass,
		lb.SuperPacket: drop, lb.TunnelTooNarrow: drop,
		lb.NeighbourPending: drop, lb.MalformedEthernet: drop, lb.MalformedIP: drop, lb.MalformedL4: drop,
		lb.FragmentOrphan: drop, lb.MartianSource: drop, lb.VIPNoService: drop, lb.RejectLimited: drop, lb.PortTaken: drop, lb.NoHeadroom: drop,
		lb.Hairpin: drop, lb.NoReplica: drop, lb.NoRoute: drop, lb.TooBig: drop, lb.TableFault: drop,
	}
	for _, r := range lb.Reasons() {
		if got := actionOf(r, 2, 3); got != want[r] {
			t.Errorf("%s: %s, want %q", r, got, want[r])
		}
	}
}

// What is collected was described, and describing collects nothing.
func TestMetricsAreDescribed(t *testing.T) {
	replica := netip.MustParseAddrPort("10.1.0.2:80")
	s := lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: 6}, Replicas: []lb.Replica{{Address: replica, State: lb.Draining}}}.WithDefaults()
	dp := oracle.New(oracle.Config{Interfaces: map[string]int{"eth0": 2}})
	i := intent.Default().WithInterface(intent.Interface{Name: "eth0", Mode: lb.Auto})
	i.Services = []intent.Service{{Name: "web", Service: s, Deadlines: map[netip.AddrPort]time.Time{replica: time.Now().Add(time.Hour)}}}
	e, err := engine.Start(t.Context(), engine.Options{Dataplane: dp, Store: &storetest.Memory{}}, i)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(newCollector(e)); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if want := len(newCollector(e).all); len(families) != want {
		t.Errorf("%d kinds of metrics, %d are described: %v", len(families), want, families)
	}
}
