package packet

import "encoding/binary"

// inPPPoE: 6 bytes, and the protocol of PPP (RFC 1661, not compressed: RFC 2516 section 7).
func inPPPoE(b []byte) inside {
	const length, version1Type1, ppp4, ppp6 = 8, 0x11, 0x0021, 0x0057
	if len(b) < length {
		return end(TunnelPPPoE)
	}
	what := EtherType(0)
	switch binary.BigEndian.Uint16(b[6:]) {
	case ppp4:
		what = TypeIPv4
	case ppp6:
		what = TypeIPv6
	}
	if b[0] != version1Type1 || b[1] != 0 || what == 0 {
		return inside{}
	}
	return inside{tunnel: TunnelPPPoE, offset: length, what: what}
}

// maxLabels is the number of MPLS labels that are read at most.
const maxLabels = 16

// inMPLS: labels of 4 bytes up to the one that says it is the last. No field says what follows it: the
// version of an IP header does, as routers assume (RFC 4928).
func inMPLS(b []byte) inside {
	const length, last = 4, 0x01
	for offset := 0; offset < maxLabels*length; offset += length {
		switch {
		case len(b) <= offset+length:
			return end(TunnelMPLS)
		case b[offset+2]&last == 0:
			continue
		}
		if version := b[offset+length] >> 4; version != 4 && version != 6 {
			return inside{}
		}
		return inside{tunnel: TunnelMPLS, offset: offset + length, what: anyIP}
	}
	return inside{}
}
