package intent_test

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"lbctl/control/intent"
	"lbctl/lb"
)

// pool has so many replicas of a port, and the first one of weight.
func pool(name string, replicas int, port, weight uint16) intent.Pool {
	p := intent.Pool{Name: name}
	for n := range replicas {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 2, byte(n >> 8), byte(n + 1)}), port)
		p.Replicas = append(p.Replicas, intent.Replica{Replica: lb.Replica{Address: a, Weight: max(1, weight)}})
		weight = 1
	}
	return p
}

// using are so many services, at ports from 1 on if these differ, with the replicas of a pool.
func using(t testing.TB, p intent.Pool, services int, ports bool) intent.Intent {
	t.Helper()
	i, _ := intent.Default().WithPool(p)
	for n := range services {
		port := uint16(80)
		if ports {
			port = uint16(n + 1)
		}
		vip := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), port)
		s := lb.Service{VIP: lb.VIP{Address: vip, Protocol: 6}, Mode: lb.DSR, Scheduler: lb.Maglev, TableSize: 251}
		i.Services = append(i.Services, &intent.Service{Name: fmt.Sprintf("s%d", n), Pool: p.Name, Service: s.WithDefaults()})
	}
	return linked(t, i)
}

func linked(t testing.TB, i intent.Intent) intent.Intent {
	t.Helper()
	i, err := i.Linked()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// A replica without a port has that of each service; services of one port, or of all ports if every replica has one, share the
// replicas; another service of them keeps its own.
func TestLinked(t *testing.T) {
	own := draining()
	for _, c := range []struct {
		port  uint16
		ports bool
		want  string // of services 0 and 1
	}{{0, false, "10.2.0.1:80 10.2.0.1:80"}, {0, true, "10.2.0.1:1 10.2.0.1:2"}, {80, true, "10.2.0.1:80 10.2.0.1:80"}} {
		i := using(t, pool("a", 3, c.port, 1), 2, c.ports)
		i, _ = i.WithService(own)
		i = linked(t, i)
		first, second := &i.Services[0].Replicas[0], &i.Services[1].Replicas[0]
		if got := fmt.Sprintf("%v %v", first.Address, second.Address); got != c.want {
			t.Errorf("port %d, ports %v: %s, want %s", c.port, c.ports, got, c.want)
		}
		if shared := first == second; shared != (first.Address == second.Address) {
			t.Errorf("port %d, ports %v: shared %v", c.port, c.ports, shared)
		}
		if !i.Services[2].Equal(own) {
			t.Errorf("a service without a pool has changed: %+v", i.Services[2])
		}
		more, _ := i.WithPool(pool("a", 4, c.port, 7))
		more = linked(t, more)
		for _, s := range more.Services[:2] {
			if len(s.Replicas) != 4 || s.Replicas[0].Weight != 7 {
				t.Errorf("after a change of the pool: %+v", s.Replicas)
			}
		}
		if len(i.Services[0].Replicas) != 3 || i.Services[0].Replicas[0].Weight != 1 {
			t.Errorf("the intent before has changed: %+v", i.Services[0].Replicas)
		}
		if !more.Services[0].SameDeclared(i.Services[0]) || more.Services[0].Equal(*i.Services[0]) {
			t.Error("a service is declared as before, and is not as before")
		}
	}
	i := using(t, pool("a", 3, 0, 1), 1, false)
	i.Services[0].Scheduler, i.Services[0].Pool = lb.Modulo, "b"
	var e *intent.Error
	if _, err := i.Linked(); !errors.As(err, &e) || e.Problems[0].Field != "services[0].pool" || e.Hint() != "want one of a" {
		t.Errorf("a pool that there is not: %v", err)
	}
	i, _ = i.WithPool(pool("b", 5, 0, 1))
	if s := linked(t, i).Services[0]; s.TableSize != 5 {
		t.Errorf("modulo: %d slots for five replicas", s.TableSize)
	}
}

// A problem with a replica of a pool is one of the pool's document, names who has it, and is told once.
func TestProblemsOfAPool(t *testing.T) {
	i := using(t, pool("a", 3, 8080, 1), 4, false)
	var e *intent.Error
	if err := i.Validate(); !errors.As(err, &e) || len(e.Problems) != 3 || e.Problems[2].Field != "pools[0].replicas[2].address" ||
		e.Problems[2].Reason != "services[0] (s0) uses it: port 8080 with dsr, which leaves the port" {
		t.Fatalf("%+v", e)
	}
	first := e.Problems[0].Field + ": " + e.Problems[0].Reason
	errors.As(intent.InService(e, 0), &e)
	if p := e.Problems[0]; p.Field != "pool" || p.Reason != first {
		t.Errorf("in the service: %+v", p)
	}
	errors.As(intent.InPool(i.Validate(), 0), &e)
	if p := e.Problems[1]; p.Field != "replicas[1].address" {
		t.Errorf("in the pool: %+v", p)
	}
}

// A change of one replica of a pool of many services takes memory for the pool, and for the list of services, but not for the
// replicas of each.
func TestAChangeOfAPoolSharesItsReplicas(t *testing.T) {
	i := using(t, pool("a", 100, 0, 1), 1000, false)
	i.Datapath.Limits = lb.Limits{Services: 1 << 16, Replicas: 1 << 20, Slots: 1 << 27, Flows: 1 << 20}
	kept := make([]intent.Intent, 0, 10)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range cap(kept) {
		i, _ = i.WithPool(pool("a", 100, 0, uint16(n+2)))
		i = linked(t, i)
		kept = append(kept, i)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (after.HeapAlloc - before.HeapAlloc) / uint64(len(kept))
	t.Logf("%d bytes each; the replicas of 1,000 services are %d", each, 1000*100*40)
	if each > 1<<20 {
		t.Errorf("%d bytes for a change of one replica of 100 behind 1,000 services", each)
	}
	runtime.KeepAlive(kept)
}
