package metrics

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

// What is collected was described, and describing collects nothing.
func TestMetricsAreDescribed(t *testing.T) {
	replica := netip.MustParseAddrPort("10.1.0.2:80")
	s := lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: 6}, Replicas: []lb.Replica{{Address: replica, State: lb.Draining}}}.WithDefaults()
	dp := oracle.New(oracle.Config{Interfaces: map[string]int{"eth0": 2}})
	i := intent.Default().WithInterface(intent.Interface{Name: "eth0", Mode: lb.Auto})
	i.Services = []*intent.Service{{Name: "web", Service: s, Deadlines: map[netip.AddrPort]time.Time{replica: time.Now().Add(time.Hour)}}}
	e, err := engine.Start(t.Context(), engine.Options{Dataplane: dp, Store: &storetest.Memory{}}, i)
	if err != nil {
		t.Fatal(err)
	}
	c, registry := newCollector(e), prometheus.NewPedanticRegistry()
	c.queues = func(string) (map[int]uint64, error) { return map[int]uint64{0: 1, 3: 4}, nil } // eth0 is in memory
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if want := len(c.all); len(families) != want {
		t.Errorf("%d kinds of metrics, %d are described: %v", len(families), want, families)
	}
}
