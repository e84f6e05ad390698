package contract

import (
	"fmt"
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss"
	"lbctl/rss/packet"
)

// testExplain tests that Explain tells what Send then does, and changes nothing.
func testExplain(t *testing.T, open func(t *testing.T) Harness) {
	t.Run("ways", func(t *testing.T) { testWays(newFixture(t, open)) })
	t.Run("reasons", func(t *testing.T) { testExplainReasons(newFixture(t, open)) })
	t.Run("flows", func(t *testing.T) { testExplainFlows(newFixture(t, open)) })
	t.Run("modes", func(t *testing.T) { testExplainModes(newFixture(t, open)) })
	t.Run("errors", func(t *testing.T) { testExplainErrors(newFixture(t, open)) })
	t.Run("nonsense", func(t *testing.T) { testExplainNonsense(newFixture(t, open)) })
}

// testWays explains and sends flows to services of each hash and scheduler.
func testWays(b fixture) {
	for _, f := range families() {
		for _, p := range protocols() {
			for number, s := range flavours(f, p) {
				b.set(s)
				for i := range 40 {
					flow := packet.Flow{
						Source:      f.on(East, byte(1+i%16), uint16(1024+613*i)),
						Destination: s.VIP.Address, Protocol: p,
					}
					b.explained(s, flow)
				}
				if b.t.Failed() {
					b.t.Fatalf("%s %v, flavour %d: %+v", f.name, p, number, s)
				}
				b.remove(s.VIP)
			}
		}
	}
}

// flavours returns services with each hash and scheduler, and five replicas.
func flavours(f family, p packet.Protocol) []lb.Service {
	var all []lb.Service
	for _, h := range []lb.Hash{lb.JHash, lb.ToeplitzHash} {
		for _, scheduler := range []lb.Scheduler{lb.Modulo, lb.Maglev} {
			s := f.service(1, p)
			for i := range 5 {
				r := f.on(West, byte(5-i), 8080)
				s.Replicas = append(s.Replicas, lb.Replica{Address: r, Weight: 1})
			}
			s.Hash, s.Scheduler, s.Seed, s.TableSize = h, scheduler, 0x5eed0000+uint32(len(all)), 0
			if scheduler == lb.Maglev {
				s.TableSize, s.Replicas[2].Weight = 251, 3
			}
			all = append(all, s.WithDefaults())
		}
	}
	return all
}

// explained explains a flow to a service, sends a packet of it and compares.
func (b fixture) explained(s lb.Service, f packet.Flow) {
	b.t.Helper()
	var e lb.Explanation
	b.unchanged("explain", func() { e = b.explain(lb.Probe{Flow: f, SYN: true}) })
	if e.Service == nil {
		b.t.Fatalf("explain %v: %v, no service", f, e.Reason)
	}
	equal(b.t, "service explained", *e.Service, s)
	hash := oracle.Hash(s, rss.MicrosoftKey(), f)
	equal(b.t, "hash and slot", fmt.Sprintf("%#x %d", e.Hash, e.Slot), fmt.Sprintf("%#x %d", hash, hash%s.TableSize))
	equal(b.t, "owners", []netip.AddrPort{e.Owner, e.PreviousOwner}, []netip.AddrPort{e.Replica, e.Replica})

	p := Packet{Flow: f, TTL: 64, Flags: 0x02}
	before := b.counters()
	v := b.send(East, p.Frame())
	want := newTally()
	want.addForwarded(s.VIP, e.Replica, len(p.Frame()))
	equal(b.t, "counters moved", moved(before, b.counters()), want.Counters)
	equal(b.t, "reason", e.Reason, lb.Forwarded)
	p.Flow, p.TTL = e.Rewritten, p.TTL-1
	p.Source, p.Destination = e.NextHop.Source, e.NextHop.Destination
	equal(b.t, "frame", hex(v.Frame), hex(p.Frame()))
	equal(b.t, "link", e.NextHop.Interface, West)
}
