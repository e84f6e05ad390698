package model

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// isHost tells an address that an answer may go to.
func isHost(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// answerEcho turns an echo request into its reply.
func answerEcho(frame []byte, p parsed) {
	swap(frame, 0, 6, 6)
	checksum := []int{p.l4At + 2}
	if p.v4 {
		swap(frame, p.sourceAt, p.destinationAt, 4)
		replace(frame, p.l4At, []byte{0, 0}, checksum)
		replace(frame, p.ttlAt, []byte{64, frame[p.ttlAt+1]}, []int{p.ipChecksumAt()})
		return
	}
	swap(frame, p.sourceAt, p.destinationAt, 16)
	replace(frame, p.l4At, []byte{129, 0}, checksum)
	frame[p.ttlAt] = 64
}

func swap(frame []byte, a, b, n int) {
	was := slices.Clone(frame[a : a+n])
	copy(frame[a:], frame[b:b+n])
	copy(frame[b:], was)
}

// What of a packet that is too big its sender gets back.
const quotedV4, quotedV6 = 68, 128

// answerTooBig returns the frame that tells the sender of a packet what fits, or nil if it
// is not to be told.
func answerTooBig(frame []byte, p parsed, mtu int) []byte {
	source := p.end(frame, p.sourceAt, 0).Addr()
	if p.icmp || p.part == later || !isHost(source) {
		return nil
	}
	if p.v4 && frame[p.ipAt+6]&0x40 == 0 || p.ipBytes < quotedV4 || !p.v4 && p.ipBytes < quotedV6 {
		return nil
	}
	answer := slices.Clone(frame[:p.ipAt])
	swap(answer, 0, 6, 6)
	if p.v4 {
		return append(answer, tooBigV4(frame, p, mtu)...)
	}
	return append(answer, tooBigV6(frame, p, mtu)...)
}

// tooBigV4 is RFC 1191's datagram too big.
func tooBigV4(frame []byte, p parsed, mtu int) []byte {
	m := []byte{0x45, 0xc0, 0, 20 + 8 + quotedV4, 0, 0, 0, 0, 64, 1, 0, 0}
	m = append(m, frame[p.destinationAt:p.destinationAt+4]...)
	m = append(m, frame[p.sourceAt:p.sourceAt+4]...)
	binary.BigEndian.PutUint16(m[10:], sum(m))
	icmp := append([]byte{3, 4, 0, 0}, binary.BigEndian.AppendUint32(nil, uint32(mtu))...)
	icmp = append(icmp, frame[p.ipAt:p.ipAt+quotedV4]...)
	binary.BigEndian.PutUint16(icmp[2:], sum(icmp))
	return append(m, icmp...)
}

// tooBigV6 is RFC 4443's packet too big, section 3.2.
func tooBigV6(frame []byte, p parsed, mtu int) []byte {
	const length = 8 + quotedV6
	ends := slices.Concat(frame[p.destinationAt:p.destinationAt+16], frame[p.sourceAt:p.sourceAt+16])
	m := append([]byte{0x60, 0, 0, 0, 0, length, 58, 64}, ends...)
	icmp := append([]byte{2, 0, 0, 0}, binary.BigEndian.AppendUint32(nil, uint32(mtu))...)
	icmp = append(icmp, frame[p.ipAt:p.ipAt+quotedV6]...)
	pseudo := append(slices.Clone(ends), 0, 0, 0, length, 0, 0, 0, 58)
	binary.BigEndian.PutUint16(icmp[2:], sum(append(pseudo, icmp...)))
	return append(m, icmp...)
}

// sum is the Internet checksum (RFC 1071) of an even number of bytes in which its field is 0.
func sum(b []byte) uint16 {
	checksum := uint16(0xffff)
	for i := 0; i < len(b); i += 2 {
		checksum = update(checksum, 0, binary.BigEndian.Uint16(b[i:]))
	}
	return checksum
}
