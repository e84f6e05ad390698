package bpf

import (
	"encoding/binary"
	"net/netip"
)

// Address returns the 16 bytes by which the kernel tables know an address: IPv4
// as ::ffff:a.b.c.d.
func Address(a netip.Addr) [16]byte { return a.As16() }

// Port returns a port in network order.
func Port(p uint16) (b [2]byte) {
	binary.BigEndian.PutUint16(b[:], p)
	return b
}

// AddrPort is the reverse of Address and Port.
func AddrPort(address [16]byte, port [2]byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(address).Unmap(), binary.BigEndian.Uint16(port[:]))
}

// Endpoint returns how the tables know an address, a port and a protocol (the number of an IP header).
func Endpoint(a netip.AddrPort, protocol uint8) LbEndpoint {
	e := LbEndpoint{Address: Address(a.Addr()), Port: Port(a.Port()), Protocol: protocol, IpVersion: 6}
	if a.Addr().Is4() {
		e.IpVersion = 4
	}
	return e
}

// AddrPort returns the endpoint's address and port.
func (e LbEndpoint) AddrPort() netip.AddrPort { return AddrPort(e.Address, e.Port) }

// Deltas returns what a rewrite of one end of a flow adds to the complement of its
// checksums (RFC 1624, equation 3), as native-endian words: l3 for the IPv4
// header checksum (0 for IPv6, which has none), l4 for TCP and UDP. The addresses are of one family.
func Deltas(from, to netip.AddrPort) (l3, l4 uint16) {
	var address uint32
	for i, was := range words(from.Addr()) {
		address += uint32(^was) + uint32(words(to.Addr())[i])
	}
	was, is := Port(from.Port()), Port(to.Port())
	ports := uint32(^binary.NativeEndian.Uint16(was[:])) + uint32(binary.NativeEndian.Uint16(is[:]))
	if from.Addr().Is4() {
		l3 = fold(address)
	}
	return l3, fold(address + ports)
}

// words returns an address as 16-bit words in memory order.
func words(a netip.Addr) []uint16 {
	b := a.AsSlice()
	w := make([]uint16, len(b)/2)
	for i := range w {
		w[i] = binary.NativeEndian.Uint16(b[2*i:])
	}
	return w
}

// fold brings a sum of 16-bit words to 16 bits in ones' complement arithmetic.
func fold(sum uint32) uint16 {
	sum = sum&0xffff + sum>>16
	return uint16(sum + sum>>16)
}
