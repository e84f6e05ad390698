package nexthop

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"lbctl/bpf/need"
	"lbctl/lb/testns"
)

// many returns n addresses, of which this host has one and one is the broadcast address of its network, and a state of the network.
func many(tb testing.TB, n int) (s State, addresses []netip.Addr) {
	tb.Helper()
	need.Root(tb)
	testns.Enter(tb)
	testns.Up(tb, "lo")
	testns.Veth(tb, "up", "10.1.0.1/24", "2001:db8:1::1/64")
	network, err := Open()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(network.Close)
	for i := range n {
		addresses = append(addresses, netip.AddrFrom4([4]byte{10, 1 + byte(i>>16), byte(i >> 8), byte(i)}))
	}
	return network.Gather(), addresses
}

// oneByOne is Unfit with a question for each address.
func (s State) oneByOne(addresses []netip.Addr) map[netip.Addr]string {
	all := map[netip.Addr]string{}
	for some := range slices.Chunk(addresses, manyAddresses) {
		maps.Copy(all, s.Unfit(some))
	}
	return all
}

// Of many addresses the same are unfit as one by one.
func TestUnfitOfMany(t *testing.T) {
	s, addresses := many(t, manyAddresses)
	for _, a := range []string{"127.0.0.1", "127.9.9.9", "224.0.0.1", "255.255.255.255", "0.0.0.0", "::1", "::", "ff02::1", "fe80::1", "2001:db8:1::", "2001:db8:1::1", "2001:db8:1::2"} {
		addresses = append(addresses, netip.MustParseAddr(a))
	}
	want := s.oneByOne(addresses)
	for _, a := range []string{"10.1.0.1", "10.1.0.255", "127.9.9.9", "2001:db8:1::1"} {
		if want[netip.MustParseAddr(a)] == "" {
			t.Errorf("%s is not unfit", a)
		}
	}
	if got := s.Unfit(addresses); !maps.Equal(got, want) {
		t.Errorf("unfit are %v, one by one %v", got, want)
	}
}

// BenchmarkUnfit decides about the replicas of a large configuration.
func BenchmarkUnfit(b *testing.B) {
	const n = 100_000
	s, addresses := many(b, n)
	for name, decide := range map[string]func([]netip.Addr) map[netip.Addr]string{"at once": s.Unfit, "one by one": s.oneByOne} {
		b.Run(fmt.Sprint(n, " ", name), func(b *testing.B) {
			for b.Loop() {
				if unfit := decide(addresses); len(unfit) != 2 {
					b.Fatal(unfit)
				}
			}
		})
	}
}
