package decap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"lbctl/lb"

	"github.com/google/go-cmp/cmp"
)

// The table by which cases are judged: the addresses of frame_test.go.
func asked() Options {
	return Options{
		Locals: addresses(replica4.String(), replica6.String()),
		VIPs:   addresses(vip4.String(), vip6.String()),
		Ports:  []uint16{7, udpPort},
	}
}

// change makes another packet of a valid one. Cases of one IP version are left out for the
// other one: outer and inner say which, 0 is both. Likewise udp: with, without, or both.
type change struct {
	name         string
	outer, inner int
	udp          selector
	edit         func(f *frame)
	want         lb.Reason
	drop         bool
}

type selector int

const (
	both selector = iota
	with
	without
)

func (s selector) takes(e encapsulation) bool { return s == both || (s == with) == e.udp }

var changes = []change{
	{name: "none", edit: func(f *frame) {}, want: "decapsulated"},
	{name: "padding behind it", edit: func(f *frame) { f.padding = make([]byte, 9) }, want: "decapsulated"},
	{name: "more in the outer packet than the inner one", edit: func(f *frame) { f.padding = make([]byte, 9); f.resize(len(f.inner) + 9) }, want: "decapsulated"},
	{name: "the other zero as checksum", outer: 4, edit: func(f *frame) {
		copy(f.outer[4:6], f.outer[10:12]) // the id makes up for all the rest
		seal(f.outer)
		f.outer[10], f.outer[11] = ^f.outer[10], ^f.outer[11]
	}, want: "decapsulated"},
	{name: "no payload", inner: 4, edit: func(f *frame) {
		f.inner = ip4(client4, vip4, 17, nil)
		f.resize(20)
	}, want: "decapsulated"},
	{name: "no payload", inner: 6, edit: func(f *frame) {
		f.inner = ip6(client6, vip6, 59, nil)
		f.resize(40)
	}, want: "decapsulated"},
	{name: "inner options", inner: 4, edit: func(f *frame) {
		f.inner = append(f.inner[:20], append([]byte{1, 1, 1, 0}, f.inner[20:]...)...)
		f.inner[0] = 0x46
		binary.BigEndian.PutUint16(f.inner[2:], uint16(len(f.inner)))
		seal(f.inner)
		f.resize(len(f.inner))
	}, want: "decapsulated"},
	{name: "inner fragment", inner: 4, edit: func(f *frame) { f.inner[6] = 0x20; seal(f.inner) }, want: "decapsulated"},
	{name: "wrong inner checksum", inner: 4, edit: func(f *frame) { f.inner[10]++ }, want: "decapsulated"},
	{name: "inner TTL of 1", inner: 4, edit: func(f *frame) { f.inner[8] = 1; seal(f.inner) }, want: "decapsulated"},
	{name: "inner hop limit of 0", inner: 6, edit: func(f *frame) { f.inner[7] = 0 }, want: "decapsulated"},

	{name: "ARP", edit: func(f *frame) { f.kind = 0x0806 }, want: "not_ip"},
	{name: "EtherType of the other version", outer: 4, edit: func(f *frame) { f.kind = etherIPv6 }, want: "malformed_outer"},
	{name: "EtherType of the other version", outer: 6, edit: func(f *frame) { f.kind = etherIPv4 }, want: "malformed_outer"},
	{name: "a third tag", edit: func(f *frame) {
		for len(f.tags) < 12 {
			f.tag(0x8100, 5)
		}
	}, want: "vlan_tagged"},

	{name: "UDP", outer: 4, udp: without, edit: func(f *frame) { f.outer[9] = 17; seal(f.outer) }, want: "not_tunnel"},
	{name: "6in4", outer: 4, edit: func(f *frame) { f.outer[9] = protocolIPv6; seal(f.outer) }, want: "not_tunnel"},
	{name: "UDP", outer: 6, udp: without, edit: func(f *frame) { f.outer[6] = 17 }, want: "not_tunnel"},
	{name: "no next header", outer: 6, edit: func(f *frame) { f.outer[6] = 59 }, want: "not_tunnel"},
	{name: "a fragment of UDP", outer: 6, edit: behind(44, 17), want: "not_tunnel"},

	{name: "to the address beside", outer: 4, edit: func(f *frame) { f.outer[19]++; seal(f.outer) }, want: "not_local"},
	{name: "to the address beside", outer: 6, edit: func(f *frame) { f.outer[39]++ }, want: "not_local"},
	{name: "to another network", outer: 6, edit: func(f *frame) { f.outer[24]++ }, want: "not_local"},
	{name: "to the mapped form", outer: 6, edit: func(f *frame) {
		copy(f.outer[24:], append(make([]byte, 10), 0xff, 0xff))
		copy(f.outer[36:], replica4.AsSlice())
	}, want: "not_local"},
	{name: "a fragment to the address beside", outer: 6, edit: func(f *frame) { behind(44, 4)(f); f.outer[39]++ }, want: "not_local"},

	{name: "options", outer: 4, edit: func(f *frame) {
		f.outer = append(f.outer, 1, 1, 1, 0)
		f.outer[0] = 0x46
		f.resize(len(f.inner))
	}, want: "outer_options"},
	{name: "hop-by-hop", outer: 6, edit: behind(0, 4), want: "outer_options"},
	{name: "routing", outer: 6, edit: behind(43, 41), want: "outer_options"},
	{name: "AH", outer: 6, edit: behind(51, 4), want: "outer_options"},
	{name: "tunnel encapsulation limit", outer: 6, edit: behind(60, 41), want: "outer_options"},
	{name: "more fragments", outer: 4, edit: func(f *frame) { f.outer[6] = 0x20; seal(f.outer) }, want: "outer_fragment"},
	{name: "fragment offset", outer: 4, udp: without, edit: func(f *frame) { f.outer[7] = 1; seal(f.outer) }, want: "outer_fragment"},
	{name: "fragment offset, so no ports", outer: 4, udp: with, edit: func(f *frame) { f.outer[7] = 1; seal(f.outer) }, want: "not_tunnel"},
	{name: "fragment", outer: 6, edit: behind(44, 4), want: "outer_fragment"},
	{name: "checksum one too high", outer: 4, edit: func(f *frame) { f.outer[11]++ }, want: "outer_checksum"},
	{name: "TTL without its checksum", outer: 4, edit: func(f *frame) { f.outer[8]-- }, want: "outer_checksum"},

	{name: "outer version", edit: func(f *frame) { f.outer[0] ^= 0x10; reseal(f) }, want: "malformed_outer"},
	{name: "outer header of 16 bytes", outer: 4, edit: func(f *frame) { f.outer[0] = 0x44; reseal(f) }, want: "malformed_outer"},
	{name: "outer length of less than a header", outer: 4, edit: func(f *frame) { f.resize(-1) }, want: "malformed_outer"},
	{name: "outer length one too long", edit: func(f *frame) { f.resize(len(f.inner) + 1) }, want: "malformed_outer"},

	{name: "outer length one too short", edit: func(f *frame) { f.resize(len(f.inner) - 1) }, want: "malformed_inner", drop: true},
	{name: "nothing in it", edit: func(f *frame) { f.resize(0) }, want: "malformed_inner", drop: true},
	{name: "inner version", udp: without, edit: func(f *frame) { f.inner[0] ^= 0x20 }, want: "malformed_inner", drop: true},
	{name: "inner header of 16 bytes", inner: 4, edit: func(f *frame) { f.inner[0] = 0x44 }, want: "malformed_inner", drop: true},
	{name: "inner header longer than its packet", inner: 4, edit: func(f *frame) { f.inner[0] = 0x4f }, want: "malformed_inner", drop: true},
	{name: "inner length of less than a header", inner: 4, edit: func(f *frame) { f.inner[2], f.inner[3] = 0, 19 }, want: "malformed_inner", drop: true},
	{name: "inner length one too long", inner: 4, edit: func(f *frame) { f.inner[3]++ }, want: "malformed_inner", drop: true},
	{name: "inner length one too long", inner: 6, edit: func(f *frame) { f.inner[5]++ }, want: "malformed_inner", drop: true},
	{name: "inner length as far as padding", inner: 4, edit: func(f *frame) { f.inner[3]++; f.padding = make([]byte, 1) }, want: "malformed_inner", drop: true},

	{name: "to another VIP", inner: 4, edit: func(f *frame) { f.inner[19]++; seal(f.inner) }, want: "not_vip"},
	{name: "to another VIP", inner: 6, edit: func(f *frame) { f.inner[39]++ }, want: "not_vip"},
	{name: "to the mapped form of a VIP", inner: 6, edit: func(f *frame) {
		copy(f.inner[24:], append(make([]byte, 10), 0xff, 0xff))
		copy(f.inner[36:], vip4.AsSlice())
	}, want: "not_vip"},

	{name: "another port of ours", udp: with, edit: func(f *frame) { f.udp[2], f.udp[3] = 0, 7 }, want: "decapsulated"},
	{name: "the port beside", udp: with, edit: func(f *frame) { f.udp[3]++ }, want: "not_tunnel"},
	{name: "the port with its bytes swapped", udp: with, edit: func(f *frame) { f.udp[2], f.udp[3] = f.udp[3], f.udp[2] }, want: "not_tunnel"},
	{name: "any source port", udp: with, edit: func(f *frame) { f.udp[0], f.udp[1] = 0, 0 }, want: "decapsulated"},
	{name: "UDP's checksum", udp: with, edit: func(f *frame) { f.udp[7] = 1 }, want: "outer_checksum"},
	{name: "UDP's length of less than a header", udp: with, edit: func(f *frame) { f.udp[4], f.udp[5] = 0, 7 }, want: "malformed_outer"},
	{name: "UDP's length one too long", udp: with, edit: func(f *frame) { f.udp[5]++ }, want: "malformed_outer"},
	{name: "UDP's length of less than the inner packet", udp: with, edit: func(f *frame) { f.udp[5]-- }, want: "malformed_inner", drop: true},
	{name: "UDP shorter than its packet", udp: with, edit: func(f *frame) { n := len(f.inner); f.inner = append(f.inner, 1, 2); f.resize(n + 2); f.udp[5] -= 2 }, want: "decapsulated"},
	{name: "GUE with a header of its own", udp: with, edit: func(f *frame) {
		f.inner = append([]byte{0, f.outer[6], 0, 0}, f.inner...)
		f.resize(len(f.inner))
	}, want: "not_tunnel"},
	{name: "6in4", outer: 4, udp: with, edit: func(f *frame) { f.inner = ip6(client6, vip6, 17, nil); f.resize(40) }, want: "not_tunnel"},
	{name: "inner version 6 of an IPv4 header", outer: 6, inner: 4, udp: with, edit: func(f *frame) { f.inner[0] = 0x65; f.inner[4], f.inner[5] = 0xff, 0xff }, want: "malformed_inner", drop: true},
	{name: "inner version 4 of an IPv6 header", inner: 6, udp: with, edit: func(f *frame) { f.inner[0] = 0x40 }, want: "malformed_inner", drop: true},

	{name: "congestion told to nobody", edit: func(f *frame) { setECN(f.outer, 3); setECN(f.inner, 0) }, want: "congested", drop: true},
}

// behind puts an extension header of 8 bytes between outer header and inner packet.
func behind(extension, next byte) func(f *frame) {
	return func(f *frame) {
		f.outer[6] = extension
		f.outer = append(f.outer, next, 0, 0, 0, 0, 0, 0, 0)
		f.resize(len(f.inner))
	}
}

func reseal(f *frame) {
	if f.kind == etherIPv4 {
		seal(f.outer)
	}
}

func version(is6 bool) int {
	if is6 {
		return 6
	}
	return 4
}

// A valid packet with one named change: its verdict, its bytes, its counter and no other one.
func TestCases(t *testing.T) {
	k := loaded(t, asked())
	for _, e := range encapsulations {
		for tags := range 3 {
			for _, c := range changes {
				if c.outer != 0 && c.outer != version(e.outer6) || c.inner != 0 && c.inner != version(e.inner6) || !c.udp.takes(e) {
					continue
				}
				f := e.valid([]byte("payload of a length that is odd")...)
				for i := range tags {
					f.tag([]uint16{0x8100, 0x88a8}[i], uint16(0x2000+i))
				}
				c.edit(f)
				in := f.bytes()
				want := result{c.want, !c.drop, in}
				if c.want == Decapsulated {
					want.Frame = f.decapsulated()
				}
				if diff := cmp.Diff(want, k.send(in)); diff != "" {
					t.Errorf("%s, %d tags, %s (-want +got):\n%s", e.name, tags, c.name, diff)
				}
			}
		}
	}
}

// Without VIPs any inner destination is right; then one is named, and no other is.
func TestAnyVIP(t *testing.T) {
	o := asked()
	o.VIPs = nil
	k := loaded(t, o)
	f := encapsulations[0].valid(1, 2, 3)
	for _, c := range []struct {
		vips []string
		want lb.Reason
	}{
		{nil, "decapsulated"},
		{[]string{"192.0.2.2"}, "not_vip"},
		{[]string{"192.0.2.1", "192.0.2.2"}, "decapsulated"},
		{[]string{"192.0.2.2"}, "not_vip"},
		{nil, "decapsulated"},
	} {
		o.VIPs = addresses(c.vips...)
		if err := k.fill(o); err != nil {
			t.Fatal(err)
		}
		if got := k.send(f.bytes()); got.Reason != c.want {
			t.Errorf("VIPs %v: %s, want %s", c.vips, got.Reason, c.want)
		}
		if got, err := read(k.Vips); err != nil || len(got) != len(c.vips) {
			t.Errorf("VIPs %v: the table holds %v, %v", c.vips, got, err)
		}
	}
}

// A frame that ends early, at every byte; and an outer packet that says so, at every byte.
func TestTruncated(t *testing.T) {
	k := loaded(t, asked())
	for _, e := range encapsulations {
		for tags := range 3 {
			f := e.valid(bytes.Repeat([]byte{0xaa}, 30)...)
			for range tags {
				f.tag(0x8100, 7)
			}
			whole := f.bytes()
			l3 := 14 + 4*tags
			for n := 14; n < len(whole); n++ { // the kernel runs no programs on less
				want := result{"malformed_outer", true, whole[:n]}
				if n < l3 {
					want.Reason = "malformed_ethernet"
				} else if behind := n - l3 - len(f.outer); e.udp && behind >= 0 && behind < len(f.udp) {
					want.Reason = "not_tunnel" // as far as can be seen
				}
				if diff := cmp.Diff(want, k.send(whole[:n])); diff != "" {
					t.Errorf("%s, %d tags, %d bytes of %d (-want +got):\n%s", e.name, tags, n, len(whole), diff)
				}
			}
			whole = append(whole, 1, 2, 3)
			for n := range len(f.inner) {
				f.resize(n)
				copy(whole[l3:], slices.Concat(f.outer, f.udp))
				want := result{"malformed_inner", false, whole}
				if diff := cmp.Diff(want, k.send(whole)); diff != "" {
					t.Errorf("%s, %d tags, inner %d bytes of %d (-want +got):\n%s", e.name, tags, n, len(f.inner), diff)
				}
				cut := whole[:l3+len(f.outer)+len(f.udp)+n]
				want.Frame = cut
				if diff := cmp.Diff(want, k.send(cut)); diff != "" {
					t.Errorf("%s, %d tags, nothing behind inner %d bytes of %d (-want +got):\n%s", e.name, tags, n, len(f.inner), diff)
				}
			}
		}
	}
}

// RFC 6040, figure 4: rows are the inner field, columns the outer one, in the order Not-ECT,
// ECT(0), ECT(1), CE. The codepoints are those of RFC 3168: 00, 10, 01, 11.
func TestECN(t *testing.T) {
	const drop = 0xff
	codepoints := [4]byte{0, 2, 1, 3}
	figure4 := [4][4]byte{
		{0, 0, 0, drop},
		{2, 2, 1, 3},
		{1, 1, 1, 3},
		{3, 3, 3, 3},
	}
	k := loaded(t, asked())
	for _, e := range encapsulations {
		for row, inner := range codepoints {
			for column, outer := range codepoints {
				// The six bits above belong to somebody else, the flow label below too.
				for _, others := range []byte{0x00, 0xff} {
					f := e.valid(make([]byte, 20)...)
					dress(f.outer, ^others)
					dress(f.inner, others)
					setECN(f.outer, outer)
					setECN(f.inner, inner)
					in, want := f.bytes(), result{Decapsulated, true, nil}
					if figure4[row][column] == drop {
						want = result{"congested", false, in}
					} else {
						setECN(f.inner, figure4[row][column])
						want.Frame = f.decapsulated()
					}
					name := fmt.Sprintf("%s, inner %02b, outer %02b, others %#02x", e.name, inner, outer, others)
					if diff := cmp.Diff(want, k.send(in)); diff != "" {
						t.Errorf("%s (-want +got):\n%s", name, diff)
					}
				}
			}
		}
	}
}

// dress sets all bits of the first four bytes that are neither version, length nor congestion.
func dress(h []byte, to byte) {
	if h[0]>>4 == 6 {
		h[0], h[1], h[2], h[3] = 0x60|to&0x0f, to, to, to
		return
	}
	h[1] = to
	seal(h)
}
