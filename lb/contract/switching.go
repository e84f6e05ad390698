package contract

import (
	"slices"
	"sync"
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// testSwitch replaces a service again and again while packets run and others read: all see the
// old one or the new one, never a mix, and never none.
func testSwitch(t *testing.T, open func(t *testing.T) Harness) {
	b := newFixture(t, open)
	versions := []lb.Service{
		ipv4.service(1, packet.TCP, ipv4.on(West, 1, 1111)),
		slotted(1, 251),
	}
	versions[1].Replicas[0].Address = ipv4.on(Narrow, 2, 2222)
	b.set(versions[0])

	var group sync.WaitGroup
	done := make(chan struct{})
	group.Go(func() { defer close(done); b.replaceInTurn(versions, 100) })
	group.Go(func() { b.readUntil(done, versions) })
	b.sendUntil(done, versions)
	group.Wait()
	equal(t, "services", b.services(), versions[1:])
}

// replaceInTurn sets one version after the other, the last one last. It is not the test's
// own goroutine, and so reports errors without ending the test.
func (b fixture) replaceInTurn(versions []lb.Service, times int) {
	for i := range times * len(versions) {
		if err := b.Dataplane.SetService(b.t.Context(), versions[i%len(versions)]); err != nil {
			b.t.Errorf("replace %d: %v", i, err)
			return
		}
	}
}

// readUntil lists, explains and reads counters.
func (b fixture) readUntil(done <-chan struct{}, versions []lb.Service) {
	probe := lb.Probe{Flow: flowTo(versions[0].VIP)}
	for {
		select {
		case <-done:
			return
		default:
		}
		services, err := b.Dataplane.Services()
		if err != nil || len(services) != 1 || !slices.ContainsFunc(versions, sameTable(services[0])) {
			b.t.Errorf("services while one is replaced: %+v, %v", services, err)
			return
		}
		e, err := b.Dataplane.Explain(probe)
		if err != nil || e.Service == nil || e.Replica != e.Service.Replicas[0].Address {
			b.t.Errorf("explain while it is replaced: %+v, %v", e, err)
			return
		}
		if _, err := b.Dataplane.Counters(); err != nil {
			b.t.Errorf("counters while it is replaced: %v", err)
			return
		}
	}
}

// sameTable compares what differs between the versions.
func sameTable(s lb.Service) func(lb.Service) bool {
	return func(other lb.Service) bool {
		return s.Scheduler == other.Scheduler && s.TableSize == other.TableSize &&
			slices.Equal(s.Replicas, other.Replicas)
	}
}

// sendUntil sends packets, each of which must come out as one of the versions says.
func (b fixture) sendUntil(done <-chan struct{}, versions []lb.Service) {
	p := Packet{Flow: flowTo(versions[0].VIP), TTL: 64}
	frame := p.Frame()
	to := func(s lb.Service, link string, host byte) []byte {
		out := p
		out.Flow.Destination = s.Replicas[0].Address
		return sentBy(out, link, host).Frame()
	}
	a, c := to(versions[0], West, 1), to(versions[1], Narrow, 2)
	for {
		select {
		case <-done:
			return
		default:
		}
		v, err := b.Send(East, frame)
		if err != nil || v.Action != oracle.Redirect || !slices.Equal(v.Frame, a) && !slices.Equal(v.Frame, c) {
			b.t.Errorf("a packet while its service is replaced: %v %x, %v", v.Action, v.Frame, err)
			<-done
			return
		}
	}
}
