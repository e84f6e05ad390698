package contract

import (
	"context"
	"slices"
	"sync"
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// testClose tests that the datapath goes on when a handle is closed, and that a change with a cancelled
// context is made or not made, but not half.
func testClose(t *testing.T, open func(t *testing.T) Harness) {
	t.Run("close", func(t *testing.T) { testGoesOn(newFixture(t, open)) })
	t.Run("memory", func(t *testing.T) { testRemembersOn(newFixture(t, open)) })
	t.Run("cancelled", func(t *testing.T) { testCancelled(newFixture(t, open)) })
}

// testGoesOn closes the handle: packets go on being forwarded. A new handle finds everything.
func testGoesOn(b fixture) {
	present := variety()
	b.set(present...)
	b.attach(East, lb.Auto)
	b.reaches(present[1].VIP, present[1].Replicas[0])
	before := b.state()
	if err := b.Dataplane.Close(); err != nil {
		b.t.Fatalf("close: %v", err)
	}
	v := b.send(East, Packet{Flow: flowTo(present[1].VIP), TTL: 64}.Frame())
	equal(b.t, "action after close", v.Action, oracle.Redirect)
	if b.Reopen == nil {
		return
	}
	b.Dataplane = b.Reopen(b.t)
	after := b.state()
	equal(b.t, "services", after.Services, before.Services)
	equal(b.t, "interfaces", after.Interfaces, before.Interfaces)
	want := newTally()
	want.addForwarded(present[1].VIP, present[1].Replicas[0].Address, ethernet+28)
	equal(b.t, "counters moved meanwhile", moved(before.Counters, after.Counters), want.Counters)
	b.remove(present[1].VIP)
	b.becomes(Packet{Flow: flowTo(present[1].VIP), TTL: 64}.Frame(), lb.ForThisHost, "another service has the address")
	b.detach(East)
}

// testRemembersOn closes the handle between a change and the next: flows stay where they are.
func testRemembersOn(b fixture) {
	if b.Reopen == nil {
		b.t.Skip("the harness cannot be opened again")
	}
	for _, scheduler := range []lb.Scheduler{lb.Modulo, lb.Maglev} {
		was := ipv4.remembering(packet.TCP, scheduler, lb.TrackChanges)
		b.set(was)
		c := newFlowSet(b, was)
		c.change(with(was, lb.Draining, 1))
		c.begin(20)
		before := b.flows(was.VIP)
		if err := b.Dataplane.Close(); err != nil {
			b.t.Fatalf("close: %v", err)
		}
		b.Dataplane = b.Reopen(b.t)
		c.fixture = b
		equal(b.t, "flows", b.flows(was.VIP), before)
		c.stay("after the datapath was opened again")
		c.change(with(was, lb.Draining, 2, 3))
		c.begin(20)
		c.stay("after a second change")
		b.remove(was.VIP)
	}
}

// testCancelled makes changes with a cancelled context: each happens or changes nothing.
func testCancelled(b fixture) {
	old := ipv4.service(1, packet.TCP, ipv4.on(West, 1, 80))
	b.set(old)
	ctx, cancel := context.WithCancel(b.t.Context())
	cancel()
	before := b.state()
	replacement := ipv4.service(1, packet.TCP, ipv4.on(West, 2, 80))
	if err := b.Dataplane.SetService(ctx, replacement); err != nil {
		equal(b.t, "state after "+err.Error(), b.state(), before)
		b.reaches(old.VIP, old.Replicas[0])
	} else {
		equal(b.t, "services", b.services(), []lb.Service{replacement})
		b.reaches(old.VIP, replacement.Replicas[0])
	}
	if err := b.Dataplane.RemoveService(ctx, old.VIP); err == nil {
		equal(b.t, "services", b.services(), nil)
	}
	if _, err := b.Dataplane.Attach(ctx, East, lb.Auto); err != nil {
		equal(b.t, "interfaces", b.interfaces(), nil)
	}
}

// testSwitch replaces a service again and again while packets are sent and others read: all see the old one or
// the new one, never a mix, and never none.
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

// replaceInTurn sets one version after the other, the last one last. It does not run in the test's own
// goroutine, so it reports errors without ending the test.
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
