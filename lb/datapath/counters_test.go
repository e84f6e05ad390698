package datapath

import (
	"net/netip"
	"testing"

	"lbctl/lb"
)

// What a replica got that has left goes on being counted for its service and as forwarded: while its number
// rests, after that, when another replica has the number, and after another start at each of these times.
func TestCountsOfReplicasThatLeave(t *testing.T) {
	for name, c := range map[string]struct{ settle, reopen bool }{
		"resting": {}, "settled": {settle: true}, "resting, another start": {reopen: true}, "settled, another start": {settle: true, reopen: true},
	} {
		t.Run(name, func(t *testing.T) { countsOfReplicasThatLeave(t, c.settle, c.reopen) })
	}
}

func countsOfReplicasThatLeave(t *testing.T, settle, reopen bool) {
	s := web("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80")
	b := newBench(t, s)
	rest := func() {
		if err := b.d.settle(); err != nil {
			t.Fatal(err)
		}
	}
	for port := range uint16(40) {
		b.send(port+1, false)
	}
	b.set(web("192.0.2.1:80", "10.1.0.2:80"))
	if settle {
		rest()
	}
	if reopen {
		if err := b.d.Close(); err != nil {
			t.Fatal(err)
		}
		b.d = open(t, b.d.options)
	}
	b.counts(s.VIP, 40, 40)
	rest()
	b.set(web("192.0.2.1:80", "10.1.0.4:80")) // by the number of 10.1.0.3
	b.send(99, false)
	b.counts(s.VIP, 41, 41)
	if n := b.counters().Replicas[s.VIP][netip.MustParseAddrPort("10.1.0.4:80")]; n.Packets != 1 {
		t.Errorf("the new replica has %d packets, want 1", n.Packets)
	}
	if err := b.d.RemoveService(t.Context(), s.VIP); err != nil {
		t.Fatal(err)
	}
	if n := b.counters().Reasons[lb.Forwarded].Packets; n != 41 {
		t.Errorf("%d packets forwarded after the service was removed, want 41", n)
	}
	rest()
	b.set(s)
	b.send(1, false)
	b.counts(s.VIP, 1, 42)
}

func (b bench) counters() lb.Counters {
	b.Helper()
	c, err := b.d.Counters()
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// counts compares the packets of the service and of the reason.
func (b bench) counts(v lb.VIP, service, forwarded uint64) {
	b.Helper()
	c := b.counters()
	if c.Services[v].Packets != service || c.Reasons[lb.Forwarded].Packets != forwarded {
		b.Errorf("service %d packets, forwarded %d, want %d, %d", c.Services[v].Packets, c.Reasons[lb.Forwarded].Packets, service, forwarded)
	}
}
