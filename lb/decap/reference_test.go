package decap

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// reference says what must become of a frame, from the RFCs and one copy at a time. It shares
// nothing with the program but the names of reasons.
type reference struct {
	locals, vips []netip.Addr
	ports        []uint16
}

func (r reference) judge(frame []byte) result {
	why, decapsulated := r.decide(frame)
	switch {
	case why == "decapsulated":
		return result{why, true, decapsulated}
	case why == "malformed_inner", why == "congested":
		return result{why, false, frame}
	}
	return result{why, true, frame}
}

func (r reference) decide(frame []byte) (why lb.Reason, decapsulated []byte) {
	if len(frame) < 14 {
		return "malformed_ethernet", nil
	}
	link, rest := frame[:12], frame[12:]
	for tags := 0; ; tags++ {
		kind := binary.BigEndian.Uint16(rest)
		if kind != 0x8100 && kind != 0x88a8 {
			break
		}
		if tags == 2 {
			return "vlan_tagged", nil
		}
		if len(rest) < 6 {
			return "malformed_ethernet", nil
		}
		link, rest = frame[:len(link)+4], rest[4:]
	}
	kind, packet := binary.BigEndian.Uint16(rest), rest[2:]
	var carried []byte
	var next, congestion byte
	header := 20
	switch kind {
	case 0x0800:
		why, next, congestion, carried = r.outer4(packet)
	case 0x86dd:
		header = 40
		why, next, congestion, carried = r.outer6(packet)
	default:
		return "not_ip", nil
	}
	if why != "" {
		return why, nil
	}
	if next == 17 {
		if why, next, carried = inUDP(kind, carried); why != "" {
			return why, nil
		}
		header += 8
	}
	if next == 4 {
		why, kind = r.inner4(carried), 0x0800
	} else {
		why, kind = r.inner6(carried), 0x86dd
	}
	if why != "" {
		return why, nil
	}
	// What lies behind the outer packet stays.
	inner := slices.Clone(packet[header:])
	if why := learn(inner, congestion); why != "" {
		return why, nil
	}
	return "decapsulated", slices.Concat(link, binary.BigEndian.AppendUint16(nil, kind), inner)
}

// outer4 opens an IPv4 packet: carried is its payload.
func (r reference) outer4(p []byte) (why lb.Reason, next, congestion byte, carried []byte) {
	if len(p) < 20 || p[0]>>4 != 4 || p[0]&15 < 5 {
		return "malformed_outer", 0, 0, nil
	}
	next = p[9]
	later := p[6]&0x1f != 0 || p[7] != 0
	if next != 4 && (next != 17 || later || !r.isTunnel(p[min(len(p), int(p[0]&15)*4):])) {
		return "not_tunnel", 0, 0, nil
	}
	if !slices.Contains(r.locals, netip.AddrFrom4([4]byte(p[16:20]))) {
		return "not_local", 0, 0, nil
	}
	length := int(p[2])<<8 | int(p[3])
	switch {
	case p[0] != 0x45:
		return "outer_options", 0, 0, nil
	case length < 20 || length > len(p):
		return "malformed_outer", 0, 0, nil
	case p[6]&0x20 != 0 || p[6]&0x1f != 0 || p[7] != 0:
		return "outer_fragment", 0, 0, nil
	}
	h := slices.Clone(p[:20])
	seal(h)
	// Of the two zeros that ones' complement has, a checksum may be either.
	if was, is := binary.BigEndian.Uint16(p[10:]), binary.BigEndian.Uint16(h[10:]); was%0xffff != is%0xffff {
		return "outer_checksum", 0, 0, nil
	}
	return "", next, p[1] & 3, p[20:length]
}

// isTunnel reports whether a UDP header is there, and to one of the ports.
func (r reference) isTunnel(udp []byte) bool {
	return len(udp) >= 8 && slices.Contains(r.ports, binary.BigEndian.Uint16(udp[2:]))
}

// inUDP opens UDP in an outer packet of an EtherType: RFC 768, and variant 1 of draft-ietf-intarea-gue.
func inUDP(outer uint16, p []byte) (why lb.Reason, next byte, carried []byte) {
	if len(p) < 8 {
		return "malformed_outer", 0, nil
	}
	length := int(binary.BigEndian.Uint16(p[4:]))
	switch {
	case length < 8 || length > len(p):
		return "malformed_outer", 0, nil
	case p[6] != 0 || p[7] != 0:
		return "outer_checksum", 0, nil
	case length == 8:
		return "malformed_inner", 0, nil
	}
	switch version := p[8] >> 4; {
	case version == 4:
		return "", 4, p[8:length]
	case version == 6 && outer == 0x86dd:
		return "", 41, p[8:length]
	}
	return "not_tunnel", 0, nil
}

func (r reference) outer6(p []byte) (why lb.Reason, next, congestion byte, carried []byte) {
	if len(p) < 40 || p[0]>>4 != 6 {
		return "malformed_outer", 0, 0, nil
	}
	next = p[6]
	local := slices.Contains(r.locals, netip.AddrFrom16([16]byte(p[24:40])))
	if slices.Contains([]byte{0, 43, 44, 51, 60}, next) && len(p) > 40 && (p[40] == 4 || p[40] == 41) {
		switch {
		case !local:
			return "not_local", 0, 0, nil
		case next == 44:
			return "outer_fragment", 0, 0, nil
		}
		return "outer_options", 0, 0, nil
	}
	length := int(p[4])<<8 | int(p[5])
	switch {
	case next != 4 && next != 41 && (next != 17 || !r.isTunnel(p[40:])):
		return "not_tunnel", 0, 0, nil
	case !local:
		return "not_local", 0, 0, nil
	case 40+length > len(p):
		return "malformed_outer", 0, 0, nil
	}
	return "", next, p[1] >> 4 & 3, p[40 : 40+length]
}

func (r reference) inner4(p []byte) lb.Reason {
	if len(p) < 20 || p[0]>>4 != 4 {
		return "malformed_inner"
	}
	header, length := int(p[0]&15)*4, int(p[2])<<8|int(p[3])
	if header < 20 || length < header || length > len(p) {
		return "malformed_inner"
	}
	return r.vip(netip.AddrFrom4([4]byte(p[16:20])))
}

func (r reference) inner6(p []byte) lb.Reason {
	if len(p) < 40 || p[0]>>4 != 6 || 40+(int(p[4])<<8|int(p[5])) > len(p) {
		return "malformed_inner"
	}
	return r.vip(netip.AddrFrom16([16]byte(p[24:40])))
}

func (r reference) vip(a netip.Addr) lb.Reason {
	if len(r.vips) > 0 && !slices.Contains(r.vips, a) {
		return "not_vip"
	}
	return ""
}

// learn is the text of RFC 6040, section 4.2, case by case.
func learn(inner []byte, outer byte) lb.Reason {
	const notECT, ect0, ect1, ce = 0, 2, 1, 3
	was := ecn(inner)
	is := was
	switch {
	case was == notECT && outer == ce:
		return "congested"
	case was == notECT:
	case outer == ce:
		is = ce
	case was == ect0 && outer == ect1:
		is = ect1
	}
	if is == was {
		return ""
	}
	if inner[0]>>4 == 6 {
		setECN(inner, is)
		return ""
	}
	// A checksum that was wrong stays wrong by as much: RFC 1624, equation 3.
	old := binary.BigEndian.Uint16(inner)
	inner[1] = inner[1]&^3 | is
	sum := []byte{^inner[10], ^inner[11], ^byte(old >> 8), ^byte(old), inner[0], inner[1]}
	binary.BigEndian.PutUint16(inner[10:], packet.Checksum(sum))
	return ""
}
