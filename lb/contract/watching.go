package contract

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// testFilters opens several monitors, each with another filter. After a packet that a filter stops there
// always comes one that it lets through, so the order shows that nothing was between.
func testFilters(b fixture) {
	s := scenes()[0] // IPv4, TCP
	b.set(s.services()...)
	service := func(number byte) lb.VIP { return s.vip(number, s.protocol) }
	host := func(a netip.AddrPort) netip.Prefix { return netip.PrefixFrom(a.Addr(), a.Addr().BitLen()) }
	client, web := s.client(), service(small).Address
	watchers := []struct {
		filter lb.Filter
		want   string
	}{
		{lb.Filter{}, "[forwarded returned no_replica not_ours forwarded no_route returned]"},
		{lb.Filter{Reasons: []lb.Reason{lb.NoReplica, lb.NoRoute}}, "[no_replica no_route]"},
		{lb.Filter{Reasons: []lb.Reason{lb.Returned}}, "[returned returned]"},
		{lb.Filter{Service: service(plain)}, "[forwarded returned returned]"},
		{lb.Filter{Service: service(small), Reasons: []lb.Reason{lb.Forwarded, lb.NotOurs}}, "[forwarded]"},
		{lb.Filter{Flow: lb.FlowFilter{Source: host(s.replica(plain))}}, "[returned returned]"},
		{lb.Filter{Flow: lb.FlowFilter{Destination: host(client), DestinationPort: client.Port()}}, "[returned returned]"},
		{lb.Filter{Flow: lb.FlowFilter{Destination: host(web), DestinationPort: web.Port()}}, "[forwarded]"},
		{lb.Filter{Flow: lb.FlowFilter{Port: client.Port(), Protocol: packet.TCP}}, "[forwarded returned no_replica not_ours forwarded no_route returned]"},
		{lb.Filter{Flow: lb.FlowFilter{Port: client.Port()}, Service: service(plain)}, "[forwarded returned returned]"},
	}
	var monitors []lb.Monitor
	for _, w := range watchers {
		monitors = append(monitors, b.monitor(w.filter))
	}
	for _, change := range []func(scene, *Packet){to(plain), answer, to(empty), to(99), to(small), to(routeless), answer} {
		p := s.plain()
		change(s, &p)
		b.send(East, p.Frame())
	}
	for n, m := range monitors {
		equal(b.t, fmt.Sprintf("seen by %+v", watchers[n].filter), b.reasonsOf(m, watchers[n].want), watchers[n].want)
	}
}

// reasonsOf returns the reasons of as many samples as wanted has words.
func (b fixture) reasonsOf(m lb.Monitor, wanted string) string {
	b.t.Helper()
	var got []lb.Reason
	for range strings.Fields(wanted) {
		got = append(got, b.next(m).Reason)
	}
	return fmt.Sprint(got)
}

// testEvery counts the samples of a monitor that wants one in so many: alone, beside another monitor, and where it wants every second
// packet only, by its flow.
func testEvery(b fixture) {
	s := ipv4.service(1, packet.TCP)
	b.set(s)
	flow := flowTo(s.VIP)
	frame := Packet{Flow: flow, TTL: 64}.Frame()
	client := lb.FlowFilter{Source: netip.PrefixFrom(flow.Source.Addr(), 32)}
	flow.Source = netip.AddrPortFrom(flow.Source.Addr().Next(), flow.Source.Port())
	other := Packet{Flow: flow, TTL: 64}.Frame()
	for _, c := range []struct {
		others, every int
		flow          lb.FlowFilter
	}{{0, 7, lb.FlowFilter{}}, {0, 2, client}, {1, 7, lb.FlowFilter{}}} { // the other stays
		const sent = 700
		m := b.monitor(lb.Filter{Reasons: []lb.Reason{lb.NoReplica}, Flow: c.flow, Every: uint32(c.every)})
		for range c.others {
			b.monitor(lb.Filter{Service: s.VIP})
		}
		for range sent {
			if c.flow != (lb.FlowFilter{}) {
				b.send(East, other)
			}
			b.send(East, frame)
		}
		b.flush()
		if err := m.Close(); err != nil {
			b.t.Error(err)
		}
		got := 0
		for range m.Samples() {
			got++
		}
		// Every CPU begins with the first.
		if got < sent/c.every || got >= sent/c.every+runtime.NumCPU() {
			b.t.Errorf("beside %d others, by %+v: %d samples of %d packets, want one in %d", c.others, c.flow, got, sent, c.every)
		}
	}
}

// flush returns when the samples of all packets sent so far have been handed to all monitors.
func (b fixture) flush() {
	b.t.Helper()
	m := b.monitor(lb.Filter{Reasons: []lb.Reason{lb.NotIP}})
	b.send(East, make([]byte, 60))
	b.next(m)
	if err := m.Close(); err != nil {
		b.t.Error(err)
	}
}

// testLost: a monitor that is not read loses samples and counts them; another one loses none.
func testLost(b fixture) {
	slow, quick := b.monitor(lb.Filter{}), b.monitor(lb.Filter{})
	frame := Packet{Flow: flowTo(ipv4.vip(1, packet.TCP)), TTL: 64}.Frame()
	const more = 200
	for range lb.SampleBuffer + more {
		b.send(East, frame)
		b.next(quick)
	}
	if err := slow.Close(); err != nil {
		b.t.Error(err)
	}
	got := 0
	for range slow.Samples() {
		got++
	}
	equal(b.t, "samples that waited", got, lb.SampleBuffer)
	equal(b.t, "samples lost", slow.Lost(), more)
	equal(b.t, "samples lost by the monitor that was read", quick.Lost(), 0)
}

// DifferentialMonitored is Differential with a monitor on both: their samples are compared, too.
func DifferentialMonitored(t *testing.T, seed uint64, n int, open func(t *testing.T) Harness) {
	t.Helper()
	d := newComparison(t, seed, open(t))
	if err := d.watch(); err != nil {
		t.Fatal(err)
	}
	if err := d.run(n); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	t.Logf("seed %d: %d packets", seed, n)
}

// watch opens a monitor on both.
func (d *comparison) watch() (err error) {
	for n, h := range []Harness{d.subject, d.reference} {
		if d.monitors[n], err = h.Dataplane.Monitor(lb.Filter{}); err != nil {
			return err
		}
	}
	return nil
}

// sampled compares the samples of the packet that was sent last, if both are watched.
func (d *comparison) sampled(link string) error {
	if d.monitors[0] == nil {
		return nil
	}
	got, err := nextSample(d.monitors[0])
	if err != nil {
		return err
	}
	want, err := nextSample(d.monitors[1])
	if err != nil {
		return err
	}
	if got.Index != d.subject.ingress(link) {
		return fmt.Errorf("sample of interface %d, want %s", got.Index, link)
	}
	want.Time, want.Index, want.CPU = got.Time, got.Index, got.CPU
	if diff := difference(want, got); diff != "" {
		return fmt.Errorf("sample (-reference +subject):\n%s", diff)
	}
	return nil
}
