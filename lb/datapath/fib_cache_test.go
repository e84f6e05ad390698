package datapath

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb/tables"
	"lbctl/lb/testns"
	"lbctl/rss/packet"

	"github.com/cilium/ebpf"
)

// forever keeps entries of the FIB cache valid until the network changes.
func forever(s *ebpf.CollectionSpec) {
	if err := s.Variables[bpf.LbVarFibCacheTicks].Set(uint32(math.MaxInt32)); err != nil {
		panic(err)
	}
}

// entryOf is the index of a client's entry in the FIB cache of a CPU.
func entryOf(client string) uint32 {
	return tables.BucketHash(bpf.Endpoint(netip.AddrPortFrom(netip.MustParseAddr(client), 0), 0)) % bpf.FIBCacheEntries
}

// sharing returns a client, of those that the pattern makes of a number, with the same entry.
func sharing(t *testing.T, pattern string, entry uint32) string {
	t.Helper()
	for i := 2; i < 1<<16; i++ {
		client := fmt.Sprintf(pattern, i>>8, i&0xff)
		if entryOf(client) == entry {
			return client
		}
	}
	t.Fatal("no client shares the entry")
	return ""
}

// An entry answers the same question only, and another question does not replace it while it is valid.
func TestFIBCacheKey(t *testing.T) {
	v4 := question{replica: "10.1.0.2", client: "198.18.0.1", protocol: packet.TCP}
	v6 := question{replica: "2001:db8:2::2", client: "2001:db8:1::1", protocol: packet.TCP}
	for name, c := range map[string]struct {
		q      question
		change func(q *question)
	}{
		"another client":           {v4, func(q *question) { q.client = sharing(t, "198.19.%d.%d", entryOf(q.client)) }},
		"another IPv6 client":      {v6, func(q *question) { q.client = sharing(t, "2001:db8:1::%x:%x", entryOf(q.client)) }},
		"another network":          {v6, func(q *question) { q.client = sharing(t, "2001:db8:1:%x%02x::1", entryOf(q.client)) }},
		"another VIP":              {v4, func(q *question) { q.replica = "10.1.0.3" }},
		"another IPv6 VIP":         {v6, func(q *question) { q.replica = "2001:db8:2::3" }},
		"a VIP of another network": {v6, func(q *question) { q.replica = "2001:db8:2::4" }},
		"another protocol":         {v4, func(q *question) { q.protocol = packet.UDP }},
		"another interface":        {v4, func(q *question) { q.elsewhere = true }},
	} {
		t.Run(name, func(t *testing.T) {
			h := newReturnPath(t, Options{manualClock: true, edit: forever})
			first, other := c.q, c.q
			c.change(&other)
			if at := h.goesTo(first); at != 1 {
				t.Fatalf("the first answer goes to %d, want 1", at)
			}
			h.gatewayIs(2)
			if at := h.goesTo(other); at != 2 {
				t.Errorf("another one goes to %d, want 2: it is not in the cache", at)
			}
			if at := h.goesTo(first); at != 1 {
				t.Errorf("the first one goes to %d, want 1: it is in the cache", at)
			}
			h.d.registry.tables.InvalidateFIBCache()
			if at := h.goesTo(first); at != 2 {
				t.Errorf("the first one goes to %d, want 2: the cache was invalidated", at)
			}
		})
	}
}

// An entry made by a short packet does not serve one that is longer than the MTU.
func TestFIBCacheMTU(t *testing.T) {
	h := newReturnPath(t, Options{manualClock: true, edit: forever})
	q := question{replica: "10.1.0.2", client: "198.18.0.1", protocol: packet.TCP}
	for bytes, want := range map[int]byte{0: 1, 1460: 1, 1461: 0} {
		q.payload = 0
		h.goesTo(q)
		if q.payload = bytes; h.goesTo(q) != want {
			t.Errorf("%d bytes of payload, MTU 1500: goes to %d, want %d", bytes, h.goesTo(q), want)
		}
	}
}

// Each CPU has entries of its own.
func TestFIBCachePerCPU(t *testing.T) {
	h := newReturnPath(t, Options{manualClock: true, edit: forever})
	q := question{replica: "10.1.0.2", client: "198.18.0.1", protocol: packet.TCP}
	h.goesTo(q)
	h.gatewayIs(2)
	h.on(1)
	if at := h.goesTo(q); at != 2 {
		t.Errorf("another CPU sends to %d, want 2", at)
	}
	h.on(0)
	if at := h.goesTo(q); at != 1 {
		t.Errorf("the first CPU sends to %d, want 1", at)
	}
}

// A missing neighbour is not kept in the cache.
func TestFIBCacheWithoutNeighbour(t *testing.T) {
	h := newReturnPath(t, Options{manualClock: true, edit: forever})
	q := question{replica: "10.1.0.2", client: "10.1.0.9", protocol: packet.TCP}
	if at := h.goesTo(q); at != 0 {
		t.Fatalf("without a neighbour: goes to %d", at)
	}
	mac := testns.Neighbour(t, h.link, q.client)
	if at := h.goesTo(q); at != mac[5] {
		t.Errorf("with a neighbour: goes to %d, want %d", at, mac[5])
	}
}

// An entry expires after some ticks, and whenever the network changes.
func TestFIBCacheExpires(t *testing.T) {
	moved := func(h returnPath) { h.gatewayIs(2) }
	for name, c := range map[string]struct {
		options Options
		change  func(h returnPath)
		want    byte
	}{
		"ticks":         {Options{manualClock: true}, moved, 2},
		"a neighbour":   {Options{edit: forever}, moved, 2},
		"a route":       {Options{edit: forever}, returnPath.unreachable, 0},
		"a link's size": {Options{edit: forever}, returnPath.shrink, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newReturnPath(t, c.options)
			q := question{replica: "10.1.0.2", client: "198.18.0.1", protocol: packet.TCP, payload: 1460}
			if at := h.goesTo(q); at != 1 {
				t.Fatalf("the first answer goes to %d, want 1", at)
			}
			c.change(h)
			for deadline := time.Now().Add(10 * time.Second); h.goesTo(q) != c.want; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("still goes to %d", h.goesTo(q))
				}
			}
		})
	}
}

// Every message about neighbours, routes or links invalidates the cache.
func TestNewsInvalidateFIBCache(t *testing.T) {
	h := newReturnPath(t, Options{manualClock: true, edit: forever})
	q := question{replica: "10.1.0.2", client: "198.18.0.1", protocol: packet.TCP}
	h.goesTo(q)
	h.gatewayIs(2)
	follower{h.d}.Changed()
	if at := h.goesTo(q); at != 2 {
		t.Errorf("goes to %d after a message, want 2", at)
	}
}
