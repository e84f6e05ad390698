package rest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lbctl/control/intent"
	"lbctl/control/store"
	"lbctl/lb"
	"lbctl/lb/oracle"
)

// What is collected was described, and describing collects nothing.
func TestMetricsAreDescribed(t *testing.T) {
	replica := netip.MustParseAddrPort("10.1.0.2:80")
	s := lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: 6}, Replicas: []lb.Replica{{Address: replica, State: lb.Draining}}}.WithDefaults()
	dp := oracle.New(oracle.Config{Interfaces: map[string]int{"eth0": 2}})
	if err := dp.SetService(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if _, err := dp.Attach(t.Context(), "eth0", lb.Auto); err != nil {
		t.Fatal(err)
	}
	k := &keeper{dp: dp}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(newCollector(k)); err != nil { // there is no intent yet
		t.Fatal(err)
	}
	k.now.Store(&store.Revision{Entry: store.Entry{Number: 1}, Intent: intent.Intent{Services: []intent.Service{
		{Name: "web", Service: s, Deadlines: map[netip.AddrPort]time.Time{replica: time.Unix(1, 0)}},
	}}})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if want := len(newCollector(k).all); len(families) != want {
		t.Errorf("%d kinds of metrics, %d are described: %v", len(families), want, families)
	}
}
