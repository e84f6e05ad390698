package conditions

import (
	"context"
	"encoding/json"
	"errors"
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
		i.Services = []*intent.Service{&s}
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
			for _, c := range append(s.Service(0).Conditions, s.Node...) {
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
		time.Sleep(time.Hour + time.Second) // not at the time of a look
		want("Programmed true 0s", "Ready false 1h0m0s")
		if err := dp.RemoveService(t.Context(), vip); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		want("Programmed false 2h0m10s", "Ready false 1h0m0s")
	})
}

// shaky is a datapath some of whose replicas no packet gets to.
type shaky struct {
	*oracle.Datapath
	unfit map[netip.Addr]string
}

func (s *shaky) Condition() (lb.Condition, error) { return lb.Condition{Unfit: s.unfit}, nil }

// What is asked for after an event has what the event told; and what nobody told, of next hops, at once.
func TestFresh(t *testing.T) {
	vip := lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP}
	replica := netip.MustParseAddrPort("10.0.0.1:80")
	i := intent.Default()
	for n := range uint16(50) {
		of := lb.VIP{Address: netip.AddrPortFrom(vip.Address.Addr(), 80+n), Protocol: packet.TCP}
		i.Services = append(i.Services, &intent.Service{Name: fmt.Sprint("s", n), Health: intent.Check{Type: intent.CheckTCP, WhenNone: intent.NoneServes},
			Service: lb.Service{VIP: of, Replicas: []lb.Replica{{Address: netip.AddrPortFrom(replica.Addr(), 80+n)}}}.WithDefaults()})
	}
	dp := &shaky{Datapath: oracle.New(oracle.Config{})}
	e, err := engine.Start(t.Context(), engine.Options{Dataplane: dp, Store: &storetest.Memory{}}, i)
	if err != nil {
		t.Fatal(err)
	}
	m, news := NewMemory(e), e.Subscribe()
	defer news.Close()
	statuses := func() string {
		t.Helper()
		s, err := m.Observe()
		if err != nil {
			t.Fatal(err)
		}
		text, err := s.Services()
		var all []api.ServiceConditions
		if err := errors.Join(err, json.Unmarshal(text, &all)); err != nil || len(all) != 50 || all[0].Conditions[2].Status != s.Service(0).Conditions[2].Status {
			t.Fatalf("%v in %s", err, text)
		}
		return all[0].Conditions[1].Status + " " + all[0].Conditions[2].Status
	}
	if got := statuses(); got != "unknown true" {
		t.Errorf("before the first check: %s", got)
	}
	for n := range 100 {
		found, want := engine.Unhealthy, "false false"
		if n%2 == 1 {
			found, want = engine.Healthy, "true true"
		}
		go e.SetHealth(t.Context(), map[engine.Endpoint]engine.Health{{VIP: vip, Replica: replica}: {Status: found, Since: time.Now()}})
		for told := false; !told; {
			_, told = (<-news.Events()).News.(engine.HealthChanged)
		}
		if got := statuses(); got != want {
			t.Fatalf("after the event that it is %v: healthy, ready are %s, want %s", found, got, want)
		}
	}
	dp.unfit = map[netip.Addr]string{replica.Addr(): "the balancer's own"}
	if got := statuses(); got != "true false" {
		t.Errorf("when no packet gets to it: %s", got)
	}
	dp.unfit = nil
	if got := statuses(); got != "true true" {
		t.Errorf("when packets get to it again: %s", got)
	}
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
