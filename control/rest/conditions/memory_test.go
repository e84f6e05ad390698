package conditions

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/store/storetest"
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// Each condition says when it became so, though nobody asked then: within a second where an event told, within ten where none
// did. What has not changed keeps its time.
func TestSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vip := lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP}
		replica := netip.MustParseAddrPort("10.0.0.1:80")
		s := intent.Service{Name: "web", Health: intent.Check{Type: intent.CheckTCP, WhenNone: intent.NoneServes},
			Service: lb.Service{VIP: vip, Replicas: []lb.Replica{{Address: replica}}}.WithDefaults()}
		i := intent.Default()
		i.Services = []intent.Service{s}
		dp := oracle.New(oracle.Config{})
		began := time.Now()
		e, err := engine.Start(t.Context(), engine.Options{Dataplane: dp, Store: &storetest.Memory{}}, i)
		if err != nil {
			t.Fatal(err)
		}
		m := NewMemory(e)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { m.Run(ctx) })
		defer running.Wait()
		defer cancel()
		want := func(programmed, ready string) {
			t.Helper()
			s, err := m.Observe()
			if err != nil {
				t.Fatal(err)
			}
			var text []string
			for _, c := range append(s.Service(0), s.Node()...) {
				if c.Type != Healthy {
					text = append(text, since(c, began))
				}
			}
			if got, want := strings.Join(text[:2], ", "), programmed+", "+ready; got != want {
				t.Errorf("%s, want %s", got, want)
			}
			if node := text[2]; node != programmed {
				t.Errorf("of the node %s, want %s", node, programmed)
			}
		}
		time.Sleep(time.Hour)
		want("Programmed true 0s", "Ready true 0s")
		e.SetHealth(t.Context(), map[engine.Endpoint]engine.Health{{VIP: vip, Replica: replica}: {Status: engine.Unhealthy, Since: time.Now()}})
		time.Sleep(time.Hour)
		want("Programmed true 0s", "Ready false 1h0m0s")
		if err := dp.RemoveService(t.Context(), vip); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		want("Programmed false 2h0m0s", "Ready false 1h0m0s")
	})
}

// since says a condition in short, with its time as exactly as it is known.
func since(c api.Condition, began time.Time) string {
	if c.Since == nil {
		return c.Type + " since nothing"
	}
	exact := lookEvery
	if c.Type == Programmed {
		exact = lookAnyway // no event tells that another has removed a service
	}
	return fmt.Sprintf("%s %s %v", c.Type, c.Status, c.Since.Sub(began).Truncate(exact))
}
