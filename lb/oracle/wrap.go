package oracle

import (
	"encoding/binary"
	"math/big"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// wrap puts an IP packet into another one to the replica. `own` is our address towards it. Packets that would need
// fragmentation are too big before, so that IPv4 has DF. IPv6 has a flow label, by which routers spread flows (RFC 6438).
func (d *decision) wrap(ip []byte, own netip.Addr) []byte {
	d.why.Outer = d.tunnel(own)
	carried := packet.InnerIPv6
	if d.v4 {
		carried = packet.InnerIPv4
	}
	if d.service.Encapsulation != lb.Plain {
		ip = slices.Concat(newUDP(d.why.Outer, d.length), ip)
		carried = packet.UDP
	}
	bytes := d.length + d.overhead(d.why.Outer.Destination)
	if d.why.Outer.Destination.Is4() {
		return slices.Concat(newIPv4(d.class(), bytes-v4Header, v4DontFragment, carried, d.why.Outer), ip)
	}
	return slices.Concat(newIPv6(d.class(), d.why.Hash&0xfffff, bytes-v6Header, carried, d.why.Outer), ip)
}

// newUDP makes the header of UDP around so many bytes, without a checksum: RFC 768, RFC 6935.
func newUDP(ends lb.Tunnel, bytes int) []byte {
	udp := binary.BigEndian.AppendUint16(nil, ends.SourcePort)
	udp = binary.BigEndian.AppendUint16(udp, ends.DestinationPort)
	udp = binary.BigEndian.AppendUint16(udp, uint16(udpHeader+bytes))
	return append(udp, 0, 0)
}

// overhead is the length of the outer headers.
func (d *decision) overhead(replica netip.Addr) int {
	if d.service.Mode != lb.IPIP {
		return 0
	}
	bytes := v6Header
	if replica.Is4() {
		bytes = v4Header
	}
	if d.service.Encapsulation != lb.Plain {
		bytes += udpHeader
	}
	return bytes
}

// tunnel returns the ends of the outer packets of the flow. `own` is our address towards the replica.
func (d *decision) tunnel(own netip.Addr) lb.Tunnel {
	t := lb.Tunnel{Source: own, Destination: d.why.Replica.Addr()}
	mixed := Spread(d.why.Hash)
	if d.service.Encapsulation != lb.Plain {
		t.SourcePort, t.DestinationPort = lb.FirstTunnelSport+uint16(mixed%16384), d.service.TunnelPort
	}
	if d.service.TunnelSources.IsValid() {
		t.Source = sourceOf(d.service.TunnelSources, mixed)
	}
	return t
}

// sourceOf returns the address of a range for a flow. Of more than two addresses the first one is not used, nor, in IPv4,
// the last one, since hosts of a link do not have them; nor what is beyond the first 2^32 and, there, one.
func sourceOf(p netip.Prefix, mixed uint32) netip.Addr {
	hosts := new(big.Int).Lsh(big.NewInt(1), uint(p.Addr().BitLen()-p.Bits()))
	least := int64(0)
	if hosts.Cmp(big.NewInt(2)) > 0 {
		least = 1
		hosts.Sub(hosts, big.NewInt(1))
		if p.Addr().Is4() {
			hosts.Sub(hosts, big.NewInt(1))
		}
	}
	if most := big.NewInt(1<<32 - 1); hosts.Cmp(most) > 0 {
		hosts = most
	}
	// The flow's part of the 2^32 values that a hash has is its part of the addresses.
	nth := new(big.Int).Mul(hosts, big.NewInt(int64(mixed)))
	nth.Rsh(nth, 32)
	at := new(big.Int).SetBytes(p.Addr().AsSlice())
	at.Add(at, nth.Add(nth, big.NewInt(least)))
	address, _ := netip.AddrFromSlice(at.FillBytes(make([]byte, p.Addr().BitLen()/8)))
	return address
}

// Spread returns what outer headers differ by, of the hash of a flow. All flows of one replica may have a part of the hash
// in common. The finalizer of MurmurHash3 (Appleby) makes every bit depend on all.
func Spread(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	return h ^ h>>16
}
