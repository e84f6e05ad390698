package tables

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"lbctl/bpf"
	"lbctl/lb"

	"pgregory.net/rapid"
)

// find looks an endpoint up as the kernel program does.
func (x Index) find(e bpf.LbEndpoint, rows map[uint32]bpf.LbEndpoint) (uint32, bool) {
	for _, row := range x.of(e).Row {
		if row == 0 {
			break
		}
		if rows[row-1] == e {
			return row - 1, true
		}
	}
	return 0, false
}

// buckets are not those of an array: all of them are mapped.
func buckets(n uint32) *Table[bpf.LbBucket] {
	return &Table[bpf.LbBucket]{rows: make([]bpf.LbBucket, n), mapped: []bool{true}, shift: 32}
}

func anyEndpoint(t *rapid.T) bpf.LbEndpoint {
	a := netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "host")})
	return bpf.Endpoint(netip.AddrPortFrom(a, rapid.Uint16Range(1, 3).Draw(t, "port")), 6)
}

// An index is a map from endpoints to rows, whatever is done to it.
func TestIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := Index{buckets: buckets(BucketsFor(64))}
		want := map[bpf.LbEndpoint]uint32{}
		rows := map[uint32]bpf.LbEndpoint{}
		next := uint32(0)
		var changing bpf.LbEndpoint
		x.steps = &Steps{After: func(Step) { // whatever is done to one, packets find the others
			for e, row := range want {
				if got, ok := x.find(e, rows); e != changing && (!ok || got != row) {
					t.Fatalf("%v is in row %d (%v) meanwhile, want %d", e.AddrPort(), got, ok, row)
				}
			}
		}}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				e := anyEndpoint(t)
				if _, ok := want[e]; ok || len(want) == 64 {
					t.Skip("there or full")
				}
				if err := x.Add(e, next); errors.Is(err, lb.ErrFull) {
					t.Skip("bucket full")
				}
				want[e], rows[next] = next, e
				next++
			},
			"replace": func(t *rapid.T) {
				if len(want) == 0 {
					t.Skip("empty")
				}
				e := rapid.SampledFrom(sortedEndpoints(want)).Draw(t, "which")
				changing = e
				x.Replace(e, want[e], next)
				delete(rows, want[e])
				want[e], rows[next] = next, e
				next++
			},
			"remove": func(t *rapid.T) {
				if len(want) == 0 {
					t.Skip("empty")
				}
				e := rapid.SampledFrom(sortedEndpoints(want)).Draw(t, "which")
				changing = e
				x.Remove(e, want[e])
				x.Remove(e, want[e]) // nothing more
				delete(rows, want[e])
				delete(want, e)
			},
			"": func(t *rapid.T) {
				for e, row := range want {
					if got, ok := x.find(e, rows); !ok || got != row {
						t.Fatalf("%v is in row %d (%v), want %d", e.AddrPort(), got, ok, row)
					}
				}
				if got := slices.Sorted(x.Rows()); !slices.Equal(got, slices.Sorted(maps.Values(want))) {
					t.Fatalf("rows %v, want those of %v", got, want)
				}
			},
		})
	})
}

func sortedEndpoints(m map[bpf.LbEndpoint]uint32) []bpf.LbEndpoint {
	return slices.SortedFunc(maps.Keys(m), func(a, b bpf.LbEndpoint) int { return a.AddrPort().Compare(b.AddrPort()) })
}

// A process that ends in the middle of a removal leaves the last row of a bucket there twice. It is yielded
// once.
func TestIndexCutShort(t *testing.T) {
	x := Index{buckets: buckets(1)}
	e := bpf.Endpoint(netip.MustParseAddrPort("10.0.0.1:1"), 6)
	for row := range uint32(3) {
		if err := x.Add(e, row); err != nil {
			t.Fatal(err)
		}
	}
	x.buckets.Row(0).Row[0] = x.buckets.Row(0).Row[2]
	if got := slices.Sorted(x.Rows()); !slices.Equal(got, []uint32{1, 2}) {
		t.Errorf("rows %v, want 1 and 2", got)
	}
}

// Addresses and ports as operators number them spread over the buckets like random ones: a bucket holds two on
// average and far less than its sixteen at most.
func TestIndexSpreads(t *testing.T) {
	const n = 1 << 14
	for name, nth := range map[string]func(i int) netip.AddrPort{
		"last bytes of IPv4": func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 80)
		},
		"networks of IPv4": func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i), byte(i >> 8), 1}), 80)
		},
		"ports": func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, 1}), uint16(i))
		},
		"last bytes of IPv6": func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: byte(i >> 8), 15: byte(i)}), 80)
		},
		"networks of IPv6": func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 6: byte(i >> 8), 7: byte(i), 15: 1}), 80)
		},
	} {
		x := Index{buckets: buckets(BucketsFor(n))}
		for i := range n {
			if err := x.Add(bpf.Endpoint(nth(i), 6), uint32(i)); err != nil {
				t.Errorf("%s: endpoint %d: %v", name, i, err)
				break
			}
		}
	}
}

// Addresses as operators number them fill buckets evenly: where two endpoints share a bucket on average, no bucket has more than half of its
// room taken. That a bucket overflows is an error, and chance alone must not be what prevents it.
func TestIndexIsEven(t *testing.T) {
	const n = 100_000
	v4 := func(host int) netip.Addr {
		return netip.AddrFrom4([4]byte{10, byte(host >> 16), byte(host >> 8), byte(host)})
	}
	v6 := func(net, host int) netip.Addr {
		return netip.AddrFrom16([16]byte{0: 0xfd, 6: byte(net >> 8), 7: byte(net), 13: byte(host >> 16), 14: byte(host >> 8), 15: byte(host)})
	}
	for name, at := range map[string]func(i int) (netip.Addr, int){
		"in a row":                    func(i int) (netip.Addr, int) { return v4(i), 80 },
		"20 of each /24":              func(i int) (netip.Addr, int) { return v4(i/20<<8 + i%20 + 10), 80 },
		"100 of each /24":             func(i int) (netip.Addr, int) { return v4(i/100<<8 + i%100 + 1), 80 },
		"one of each /24":             func(i int) (netip.Addr, int) { return v4(i<<8&0xffffff + i>>16 + 1), 80 },
		"1,000 addresses, 100 ports":  func(i int) (netip.Addr, int) { return v4(i / 100), 8000 + i%100 },
		"10 addresses, 10,000 ports":  func(i int) (netip.Addr, int) { return v4(i / 10_000), 1024 + i%10_000 },
		"IPv6 in a row":               func(i int) (netip.Addr, int) { return v6(1, i), 80 },
		"IPv6, one of each /64":       func(i int) (netip.Addr, int) { return v6(i%65_536, 1+i>>16), 80 },
		"IPv6, 50 of each /64":        func(i int) (netip.Addr, int) { return v6(i/50, i%50), 80 },
		"IPv6, as many as the subnet": func(i int) (netip.Addr, int) { return v6(i%1000, i%1000<<8+i/1000), 80 },
	} {
		x, taken := Index{buckets: buckets(BucketsFor(n))}, map[uint32]int{}
		x.buckets.flat = true
		for i := range n {
			a, port := at(i)
			taken[x.Bucket(bpf.Endpoint(netip.AddrPortFrom(a, uint16(port)), 6))]++
		}
		if most := slices.Max(slices.Collect(maps.Values(taken))); most > len(bpf.LbBucket{}.Row)/2 {
			t.Errorf("%s: %d in one bucket", name, most)
		}
	}
}
