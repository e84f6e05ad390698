package contract

import (
	"errors"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// testMonitor tests that a monitor gets samples of what comes in, and that packets are not affected.
func testMonitor(t *testing.T, open func(t *testing.T) Harness) {
	for _, s := range allScenes() {
		if s.protocol == packet.TCP { // UDP is found the same way
			t.Run(s.name(), func(t *testing.T) { testSamples(newFixture(t, open), s) })
		}
	}
	t.Run("filters", func(t *testing.T) { testFilters(newFixture(t, open)) })
	t.Run("every", func(t *testing.T) { testEvery(newFixture(t, open)) })
	t.Run("lost", func(t *testing.T) { testLost(newFixture(t, open)) })
	t.Run("changes", func(t *testing.T) { testMonitorChanges(newFixture(t, open)) })
	t.Run("ends", func(t *testing.T) { testMonitorEnds(newFixture(t, open)) })
	t.Run("refusals", func(t *testing.T) { testMonitorRefusals(newFixture(t, open)) })
}

// monitor opens a monitor until the end of the test.
func (b fixture) monitor(f lb.Filter) lb.Monitor {
	b.t.Helper()
	m := must(b.t, "monitor", func() (lb.Monitor, error) { return b.Dataplane.Monitor(f) })
	b.t.Cleanup(func() {
		if err := m.Close(); err != nil {
			b.t.Errorf("close a monitor: %v", err)
		}
	})
	return m
}

// sampleTimeout is how long to wait for a sample. Only a failing test waits for so long.
const sampleTimeout = 10 * time.Second

// next returns the next sample.
func (b fixture) next(m lb.Monitor) lb.Sample {
	b.t.Helper()
	s, err := nextSample(m)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

var errEnded = errors.New("the samples have ended")

func nextSample(m lb.Monitor) (lb.Sample, error) {
	select {
	case s, open := <-m.Samples():
		if !open {
			return s, errEnded
		}
		return s, nil
	case <-time.After(sampleTimeout):
		return lb.Sample{}, errors.New("no sample came")
	}
}

// testSamples sends the packet of every case, and compares all of its sample.
func testSamples(b fixture, s scene) {
	b.set(s.services()...)
	m := b.monitor(lb.Filter{})
	for _, c := range packetCases(s) {
		if c.only != nil && !c.only(s) {
			continue
		}
		p := s.plain()
		if c.packet != nil {
			c.packet(s, &p)
		}
		if c.ingress == "" {
			c.ingress = East
		}
		frame := c.frame(s, p)
		if !b.fits(frame) {
			continue
		}
		e := b.explain(lb.Probe{Frame: frame, Ingress: b.ingress(c.ingress)})
		b.send(c.ingress, frame)
		want := lb.Sample{
			Reason: s.kept(c.want, frame).reason, Interface: c.ingress, Index: b.ingress(c.ingress),
			Length: len(frame), Frame: frame[:min(len(frame), lb.SampleBytes)],
		}
		want.Service, want.Replica = s.ends(e)
		equal(b.t, c.name, b.plausible(b.next(m)), want)
	}
	equal(b.t, "samples lost", m.Lost(), 0)
}

// ends returns the service and the replica that a packet is to or from.
func (s scene) ends(e lb.Explanation) (lb.VIP, netip.AddrPort) {
	if e.Service != nil {
		return e.Service.VIP, e.Replica
	}
	for _, service := range s.services() {
		for _, r := range service.Replicas {
			if s.mode == lb.NAT && e.Flow.Source == r.Address && e.Flow.Protocol == s.protocol {
				return service.VIP, r.Address
			}
		}
	}
	return lb.VIP{}, netip.AddrPort{}
}

// plausible checks the fields that differ each time, and clears them.
func (b fixture) plausible(s lb.Sample) lb.Sample {
	b.t.Helper()
	if age := time.Since(s.Time); age < -time.Second || age > sampleTimeout {
		b.t.Errorf("a sample of %v, %v ago", s.Time, age)
	}
	if s.CPU < 0 || s.CPU >= runtime.NumCPU() || s.Queue != 0 {
		b.t.Errorf("a sample of queue %d, CPU %d", s.Queue, s.CPU)
	}
	s.Time, s.CPU = time.Time{}, 0
	return s
}

// testMonitorChanges: a monitor outlives the service and the attachments that it watches.
func testMonitorChanges(b fixture) {
	s := ipv4.service(1, packet.TCP, ipv4.on(West, 1, 80))
	b.set(s)
	m := b.monitor(lb.Filter{Service: s.VIP})
	frame := Packet{Flow: flowTo(s.VIP), TTL: 64}.Frame()
	b.attach(East, lb.Auto)
	b.send(East, frame)
	equal(b.t, "reason", b.next(m).Reason, lb.Forwarded)
	b.remove(s.VIP)
	b.send(East, frame) // not the service's
	b.set(ipv4.service(2, packet.TCP, ipv4.on(West, 2, 80)))
	b.set(ipv4.service(1, packet.TCP, ipv4.on(West, 3, 80)))
	b.detach(East)
	b.send(East, frame)
	got := b.next(m)
	equal(b.t, "replica after the service came again", got.Replica, ipv4.on(West, 3, 80))
	equal(b.t, "reason", got.Reason, lb.Forwarded)
}

// testMonitorEnds: streams end when they are closed, and with the dataplane.
func testMonitorEnds(b fixture) {
	first, second := b.monitor(lb.Filter{}), b.monitor(lb.Filter{})
	frame := Packet{Flow: flowTo(ipv4.vip(1, packet.TCP)), TTL: 64}.Frame()
	b.send(East, frame)
	b.next(second)
	for range 2 {
		if err := first.Close(); err != nil {
			b.t.Errorf("close: %v", err)
		}
	}
	b.next(first) // has waited
	ended(b.t, first)
	b.send(East, frame)
	b.next(second)
	if err := b.Dataplane.Close(); err != nil {
		b.t.Errorf("close the dataplane: %v", err)
	}
	ended(b.t, second)
	v := b.send(East, frame)
	equal(b.t, "frame after the end", hex(v.Frame), hex(frame))
	if _, err := b.Dataplane.Monitor(lb.Filter{}); !errors.Is(err, os.ErrClosed) {
		b.t.Errorf("monitor what is closed: %v", err)
	}
}

func ended(t *testing.T, m lb.Monitor) {
	t.Helper()
	if s, err := nextSample(m); err != errEnded {
		t.Errorf("after the end: sample %+v, %v", s, err)
	}
}

func testMonitorRefusals(b fixture) {
	vip := ipv4.vip(1, packet.TCP)
	for want, filter := range map[error]lb.Filter{
		lb.ErrNotFound: {Service: vip},
		lb.ErrInvalid:  {Reasons: []lb.Reason{lb.Forwarded, "fowarded"}},
	} {
		m, err := b.Dataplane.Monitor(filter)
		if !errors.Is(err, want) {
			b.t.Errorf("monitor %+v: %v, %v, want %v", filter, m, err, want)
		}
	}
}
