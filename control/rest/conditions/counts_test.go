package conditions

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/store/storetest"
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// Each replica of a service is counted once, as what keeps packets from it first, and again when something changes.
func TestCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := func(n int) netip.AddrPort { return netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:80", n)) }
		web := intent.Service{Name: "web", Health: intent.Check{Type: intent.CheckTCP, SlowStart: 90 * time.Second}}
		web.VIP = lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP}
		states := []lb.ReplicaState{lb.Active, lb.Active, lb.Active, lb.Active, lb.Draining, lb.Draining, lb.Down, lb.Draining}
		for n, s := range states {
			web.Replicas = append(web.Replicas, lb.Replica{Address: at(n), State: s})
		}
		web.Service = web.WithDefaults()
		i := intent.Default()
		i.Services = []*intent.Service{&web}
		dp := &shaky{Datapath: oracle.New(oracle.Config{})}
		e, err := engine.Start(t.Context(), engine.Options{Dataplane: dp, Store: &storetest.Memory{}}, i)
		if err != nil {
			t.Fatal(err)
		}
		go e.Run(t.Context())
		m := NewMemory(e)
		want := func(when string, want api.ReplicaCounts, disregarded bool) {
			t.Helper()
			state, err := m.Observe()
			if err != nil {
				t.Fatal(err)
			}
			is := state.Service(0)
			if diff := cmp.Diff(want, is.ReplicaCounts); diff != "" || is.HealthDisregarded != disregarded {
				t.Errorf("%s: health is disregarded: %t, want %t (-want +got):\n%s", when, is.HealthDisregarded, disregarded, diff)
			}
		}
		found := func(s engine.HealthStatus, of ...int) {
			all := map[engine.Endpoint]engine.Health{}
			for _, n := range of {
				all[engine.Endpoint{VIP: web.VIP, Replica: at(n)}] = engine.Health{Status: s, Since: time.Now()}
			}
			e.SetHealth(t.Context(), all)
		}
		want("at the start", api.ReplicaCounts{Active: 4, Draining: 3, Down: 1, Unknown: 7, All: 8}, false)
		found(engine.Healthy, 0, 1, 4)
		found(engine.Unhealthy, 2, 3, 5, 6)
		dp.unfit = map[netip.Addr]string{at(3).Addr(): "the balancer's own", at(6).Addr(): "the balancer's own", at(7).Addr(): "the balancer's own"}
		want("some found", api.ReplicaCounts{Active: 2, Draining: 1, Down: 1, Unhealthy: 2, Unreachable: 2, All: 8}, false)
		found(engine.Healthy, 2)
		share := int64(10)
		want("one is well again", api.ReplicaCounts{Active: 3, Starting: 1, Started: &share, Draining: 1, Down: 1, Unhealthy: 1, Unreachable: 2, All: 8}, false)
		time.Sleep(25 * time.Second)
		synctest.Wait()
		share = 30
		want("25 s later", api.ReplicaCounts{Active: 3, Starting: 1, Started: &share, Draining: 1, Down: 1, Unhealthy: 1, Unreachable: 2, All: 8}, false)
		time.Sleep(66 * time.Second)
		synctest.Wait()
		want("when it has started", api.ReplicaCounts{Active: 3, Draining: 1, Down: 1, Unhealthy: 1, Unreachable: 2, All: 8}, false)
		found(engine.Unhealthy, 0, 1, 2)
		want("when none is well", api.ReplicaCounts{Draining: 1, Down: 1, Unhealthy: 4, Unreachable: 2, All: 8}, true)
	})
}
