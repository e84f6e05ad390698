package contract

import (
	"context"
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// testClose tests that the end of a handle is not the end of the datapath, and that a
// change asked for in vain leaves no trace.
func testClose(t *testing.T, open func(t *testing.T) Harness) {
	t.Run("close", func(t *testing.T) { testGoesOn(newFixture(t, open)) })
	t.Run("memory", func(t *testing.T) { testRemembersOn(newFixture(t, open)) })
	t.Run("cancelled", func(t *testing.T) { testCancelled(newFixture(t, open)) })
}

// testGoesOn closes the handle: packets go on being forwarded. A new handle finds everything.
func testGoesOn(b fixture) {
	settled := variety()
	b.set(settled...)
	b.attach(East, lb.Auto)
	b.reaches(settled[1].VIP, settled[1].Replicas[0])
	before := b.state()
	if err := b.Dataplane.Close(); err != nil {
		b.t.Fatalf("close: %v", err)
	}
	v := b.send(East, Packet{Flow: flowTo(settled[1].VIP), TTL: 64}.Frame())
	equal(b.t, "action after close", v.Action, oracle.Redirect)
	if b.Reopen == nil {
		return
	}
	b.Dataplane = b.Reopen(b.t)
	after := b.state()
	equal(b.t, "services", after.Services, before.Services)
	equal(b.t, "interfaces", after.Interfaces, before.Interfaces)
	want := newTally()
	want.addForwarded(settled[1].VIP, settled[1].Replicas[0].Address, ethernet+28)
	equal(b.t, "counters moved meanwhile", moved(before.Counters, after.Counters), want.Counters)
	b.remove(settled[1].VIP)
	b.isNotOurs(flowTo(settled[1].VIP))
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
		c := newCrowd(b, was)
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

// testCancelled asks with a context that has ended: either it happens or nothing does.
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
