package dataplanetest

import (
	"encoding/binary"
	"slices"

	"lbctl/lb"
	"lbctl/lb/model"
	"lbctl/rss/packet"
)

// answered is the outcome of a packet that is too big and whose sender is told so.
var answered = outcome{action: model.Transmit, reason: lb.TooBigAnswered, egress: East}

// answeredOn is that of one that came on another link.
func answeredOn(link string) outcome {
	o := answered
	o.egress = link
	return o
}

// echoed is that of an echo request to a VIP.
var echoed = outcome{action: model.Transmit, reason: lb.EchoAnswered, egress: East}

// turned returns a header of Ethernet that goes back where it came from.
func turned(frame []byte) []byte {
	return slices.Concat(frame[6:12], frame[:6], frame[12:ethernet])
}

// tooBig is the news that 1,500 bytes would fit, which RFC 1191 and RFC 4443 describe.
func tooBig(s scene, in, _ []byte) []byte { return tooBigFor(1500)(s, in, nil) }

func tooBigFor(mtu uint32) func(scene, []byte, []byte) []byte {
	return func(s scene, in, _ []byte) []byte {
		ip := in[ethernet:]
		if s.v4 {
			icmp := withChecksum(nil, slices.Concat([]byte{3, 4, 0, 0}, binary.BigEndian.AppendUint32(nil, mtu), ip[:68]), 2)
			header := slices.Concat([]byte{0x45, 0xc0, 0, 96, 0, 0, 0, 0, 64, 1, 0, 0}, ip[16:20], ip[12:16])
			return slices.Concat(turned(in), withChecksum(nil, header, 10), icmp)
		}
		ends := slices.Concat(ip[24:40], ip[8:24])
		pseudo := slices.Concat(ends, []byte{0, 0, 0, 136, 0, 0, 0, 58})
		icmp := withChecksum(pseudo, slices.Concat([]byte{2, 0, 0, 0}, binary.BigEndian.AppendUint32(nil, mtu), ip[:128]), 2)
		return slices.Concat(turned(in), []byte{0x60, 0, 0, 0, 0, 136, 58, 64}, ends, icmp)
	}
}

// withChecksum computes the checksum at an offset, over a pseudo header too.
func withChecksum(pseudo, b []byte, at int) []byte {
	binary.BigEndian.PutUint16(b[at:], 0)
	binary.BigEndian.PutUint16(b[at:], checksum(slices.Concat(pseudo, b)))
	return b
}

// message replaces what the packet carries by an ICMP message.
func message(icmp ...byte) func(scene, []byte) []byte {
	return func(s scene, frame []byte) []byte {
		protocol, at := byte(1), 9
		if !s.v4 {
			protocol, at = 58, 6
		}
		frame = ipPayload(len(icmp))(s, pokeIP(at, protocol)(s, frame))
		return s.sum(slices.Concat(frame[:s.l4()], icmp))
	}
}

// sum computes the checksums of an ICMP packet.
func (s scene) sum(frame []byte) []byte {
	ip := frame[ethernet:]
	if s.v4 {
		withChecksum(nil, ip[:20], 10)
		withChecksum(nil, ip[20:], 2)
		return frame
	}
	withChecksum(slices.Concat(ip[8:40], []byte{0, 0, 0, byte(len(ip) - 40), 0, 0, 0, 58}), ip[40:], 2)
	return frame
}

// echo is an echo request with an identifier, a sequence number and data of an odd length.
func echo(s scene, frame []byte) []byte {
	kind := byte(8)
	if !s.v4 {
		kind = 128
	}
	return message(kind, 0, 0, 0, 1, 2, 3, 4, 'd', 'a', 't', 'a', '!')(s, frame)
}

// reply is the answer to it.
func reply(s scene, in, _ []byte) []byte {
	out := slices.Concat(turned(in), in[ethernet:])
	ip := out[ethernet:]
	if s.v4 {
		copy(ip[12:], slices.Concat(in[ethernet+16:ethernet+20], in[ethernet+12:ethernet+16]))
		ip[8], ip[20] = 64, 0
	} else {
		copy(ip[8:], slices.Concat(in[ethernet+24:ethernet+40], in[ethernet+8:ethernet+24]))
		ip[7], ip[40] = 64, 129
	}
	return s.sum(out)
}

// about is an ICMP error of a router or the client about a packet of a flow.
func about(quoted func(s scene) packet.Flow, bytes int) func(scene, []byte) []byte {
	return func(s scene, frame []byte) []byte {
		kind := []byte{3, 3, 0, 0, 0, 0, 0, 0}
		if !s.v4 {
			kind = []byte{1, 4, 0, 0, 0, 0, 0, 0}
		}
		p := s.plain()
		p.Flow = quoted(s)
		inner := p.Frame()[ethernet:]
		return message(slices.Concat(kind, inner[:min(bytes, len(inner))])...)(s, frame)
	}
}

// fromVIP is the flow of an answer as the client sees it, fromReplica as the replica does.
func fromVIP(s scene) packet.Flow { return s.plain().Flow.Reverse() }

func fromReplica(s scene) packet.Flow {
	f := s.plain().Flow
	f.Destination = s.replica(plain)
	return f.Reverse()
}

// errorSent is the error fromVIP as its replica must get it.
func errorSent(bytes int) func(scene, []byte, []byte) []byte {
	return func(s scene, _, out []byte) []byte { return about(fromReplica, bytes)(s, out) }
}

// icmpCases are echoes and errors.
func icmpCases() []packetCase {
	sent := sentTo(plain, West)
	sent.reason = lb.ErrorForwarded
	back := returnedTo(East)
	back.reason = lb.ErrorReturned
	toVIP := func(s scene) packet.Flow { return s.plain().Flow }
	return []packetCase{
		{name: "echo", bytes: echo, out: reply, want: echoed},
		{name: "echo, ttl 1", packet: ttl(1), bytes: echo, out: reply, want: echoed},
		{name: "echo to nobody", packet: to(99), bytes: echo, want: passed(lb.NotTCPUDP)},
		{name: "echo reply", bytes: then(echo, func(s scene, f []byte) []byte { f[s.l4()]++; return f }), want: passed(lb.NotTCPUDP)},
		{name: "icmp of 7 bytes", bytes: message(8, 0, 0, 0, 0, 0, 0), want: dropped(lb.MalformedL4)},
		{name: "error about an answer", bytes: about(fromVIP, 1000), out: errorSent(1000), want: sent},
		{name: "error that quotes 8 bytes of layer 4", bytes: eightBytes(fromVIP), out: func(s scene, _, out []byte) []byte {
			return eightBytes(fromReplica)(s, out)
		}, only: isUDP, want: sent},
		{name: "error that quotes too little", bytes: about(fromVIP, 20), want: passed(lb.NotTCPUDP)},
		{name: "error, ttl 1", packet: ttl(1), bytes: about(fromVIP, 1000), want: passed(lb.TTLExpired)},
		{name: "error about somebody else's packet", bytes: about(toVIP, 1000), want: passed(lb.NotTCPUDP)},
		{name: "error of a replica", ingress: West, packet: answer, bytes: about(toReplica, 1000),
			out: func(s scene, _, out []byte) []byte { return about(toVIP, 1000)(s, out) }, want: back},
		{name: "error about a stranger's flow", packet: to(99), bytes: about(func(s scene) packet.Flow {
			f := fromVIP(s)
			f.Source = s.vip(99, s.protocol).Address
			return f
		}, 1000), want: passed(lb.NotOurs)},
	}
}

// toReplica is the flow of a packet as the replica gets it.
func toReplica(s scene) packet.Flow { return fromReplica(s).Reverse() }

// eightBytes is an error that quotes no more than it must.
func eightBytes(f func(scene) packet.Flow) func(scene, []byte) []byte {
	return func(s scene, frame []byte) []byte { return about(f, s.ipHeader()+8)(s, frame) }
}
