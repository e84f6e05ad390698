package nic

import (
	"math/bits"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// For every entry the ports that are solved for are those that a search through all of them finds, and 2^rank entries
// can be reached: under any key, table of a power of two, function, linear transform and quirk.
func TestAdjustIsTheSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, err := Default(4)
		if err != nil {
			t.Fatal(err)
		}
		c.Key = rapid.SliceOfN(rapid.Byte(), 40, 52).Draw(t, "key")
		if rapid.Bool().Draw(t, "poor key") { // of which many windows are equal
			for i := range c.Key {
				c.Key[i] = []byte{0x6d, 0x5a}[i%2]
			}
		}
		c.Table = make(rss.Table, 1<<rapid.IntRange(0, 9).Draw(t, "size"))
		c.Function = rapid.SampledFrom([]rss.Function{rss.FunctionToeplitz, rss.FunctionXOR, rss.FunctionCRC32}).Draw(t, "function")
		c.Transform = rapid.SampledFrom([]rss.Transform{rss.NoTransform, rss.SymmetricXOR}).Draw(t, "transform")
		c.Quirks = Quirks{Initial: rapid.Uint32().Draw(t, "initial"), LowHalfTwice: rapid.Bool().Draw(t, "twice")}
		n, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		v6 := rapid.Bool().Draw(t, "v6")
		end := func(name string) netip.AddrPort {
			b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name)
			a := netip.AddrFrom16([16]byte(b))
			if b[0] |= 1; !v6 {
				a = netip.AddrFrom4([4]byte(b))
			}
			return netip.AddrPortFrom(a, rapid.Uint16().Draw(t, name+"'s port"))
		}
		flow := packet.Flow{Source: end("source"), Destination: end("destination"), Protocol: packet.TCP}
		destination, mask := rapid.Bool().Draw(t, "of the destination"), rapid.Uint16Range(1, 0xffff).Draw(t, "mask")
		for bits.OnesCount16(mask) > 10 {
			mask &= mask - 1
		}
		a, err := n.Adjust(flow, destination, mask)
		if err != nil {
			t.Fatal(err)
		}
		found := make([][]uint16, len(c.Table))
		for port := range 1 << 16 {
			if (uint16(port)^a.port())&^mask == 0 {
				i := n.ClassifyFlow(a.Flow(uint16(port))).Index
				found[i] = append(found[i], uint16(port))
			}
		}
		reached := 0
		for entry, want := range found {
			if got := a.Ports(entry); !slices.Equal(got, want) {
				t.Fatalf("entry %d: solved %v, found %v", entry, got, want)
			}
			if len(want) > 0 {
				reached++
			}
		}
		if reached != 1<<a.Rank() {
			t.Fatalf("%d entries can be reached, rank %d", reached, a.Rank())
		}
	})
}

// What is not linear, or does not depend on the port, is refused.
func TestAdjustRefuses(t *testing.T) {
	flow := packet.Flow{Source: netip.MustParseAddrPort("198.51.100.7:40000"), Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP}
	for want, change := range map[string]func(*Config){
		"under symmetric-or-xor the hash is not linear": func(c *Config) { c.Transform = rss.SymmetricOrXOR },
		"sorts the ports":                    func(c *Config) { c.Quirks.Sorted = true },
		"table of 96 entries":                func(c *Config) { c.Table = c.Table[:96] },
		"does not hash this port of tcp":     func(c *Config) { c.TCP4 = rss.Addresses },
		"hash fields sdn":                    func(c *Config) { c.TCP4 = rss.Addresses | rss.DestinationPort },
		"no bit of the port may change":      nil,
		"does not hash this port of tcp flo": func(c *Config) { c.TCP4 = 0 },
	} {
		c, err := Default(4)
		if err != nil {
			t.Fatal(err)
		}
		mask := uint16(0x7f)
		if change == nil {
			mask = 0
		} else {
			change(&c)
		}
		n, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Adjust(flow, false, mask); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
