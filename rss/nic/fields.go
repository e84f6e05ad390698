package nic

import (
	"encoding/binary"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// fields returns the hash fields of a packet.
func (n *NIC) fields(flow *packet.Flow, s subject) rss.Fields {
	source, destination := flow.Source.Addr(), flow.Destination.Addr()
	c := &n.config
	switch {
	case source.BitLen() != destination.BitLen() || !source.IsValid():
		return 0
	case source.Is4():
		return s.choose(flow.Protocol, c.IP4, c.TCP4, c.UDP4, c.SCTP4, c.ESP4, c.AH4)
	}
	return s.choose(flow.Protocol, c.IP6, c.TCP6, c.UDP6, c.SCTP6, c.ESP6, c.AH6)
}

// choose returns one of the field sets of an address family.
func (s subject) choose(protocol packet.Protocol, ip, tcp, udp, sctp, esp, ah rss.Fields) rss.Fields {
	optional := rss.Fields(0)
	switch {
	case s.security == packet.Authentication && !s.fragment && ah != 0:
		return ah
	case s.ports && protocol == packet.TCP:
		return tcp
	case s.ports && protocol == packet.UDP:
		return udp
	case s.ports:
		optional = sctp
	case s.security == packet.ESP:
		optional = esp
	}
	if optional != 0 {
		return optional
	}
	return ip
}

// hash returns the hash of a packet whose addresses are of one family.
func (n *NIC) hash(flow *packet.Flow, s subject, fields rss.Fields) uint32 {
	if n.plain && fields == rss.FourTuple && s.security == 0 {
		return n.hashTuple(flow)
	}
	v := rss.Values{
		Source: flow.Source.Addr(), Destination: flow.Destination.Addr(),
		SourcePort: flow.Source.Port(), DestinationPort: flow.Destination.Port(),
		FlowLabel: s.label,
	}
	if s.security == packet.ESP || s.security == packet.Authentication && n.hashesAH(flow) {
		v.SourcePort, v.DestinationPort = uint16(s.spi>>16), uint16(s.spi)
	}
	quirks := n.config.Quirks
	if quirks.Sorted {
		sort(&v)
	}
	var room [rss.MaxInputLength]byte
	hash := quirks.Initial ^ n.function(rss.AppendInput(room[:0], &v, fields, n.config.Transform))
	if quirks.LowHalfTwice {
		hash = hash<<16 | hash&0xffff
	}
	return hash
}

func (n *NIC) function(input []byte) uint32 {
	switch n.config.Function {
	case rss.FunctionXOR:
		return rss.XOR(input)
	case rss.FunctionCRC32:
		return rss.CRC32(input)
	}
	return n.tables.Hash(input)
}

// sort puts the smaller address first, and independently the smaller port.
func sort(v *rss.Values) {
	if v.Destination.Less(v.Source) {
		v.Source, v.Destination = v.Destination, v.Source
	}
	if v.DestinationPort < v.SourcePort {
		v.SourcePort, v.DestinationPort = v.DestinationPort, v.SourcePort
	}
}

// hashesAH tells whether the fields of AH are hashed, and not those of the packet it protects.
func (n *NIC) hashesAH(flow *packet.Flow) bool {
	if flow.Source.Addr().Is4() {
		return n.config.AH4 != 0
	}
	return n.config.AH6 != 0
}

// hashTuple is the Toeplitz hash of a 4-tuple, the fast path for most packets.
func (n *NIC) hashTuple(flow *packet.Flow) uint32 {
	source, destination := flow.Source, flow.Destination
	if source.Addr().Is4() {
		var in [rss.IPv4TupleLength]byte
		*(*[4]byte)(in[0:]), *(*[4]byte)(in[4:]) = source.Addr().As4(), destination.Addr().As4()
		binary.BigEndian.PutUint16(in[8:], source.Port())
		binary.BigEndian.PutUint16(in[10:], destination.Port())
		return n.tables.HashIPv4(&in)
	}
	var in [rss.IPv6TupleLength]byte
	*(*[16]byte)(in[0:]), *(*[16]byte)(in[16:]) = source.Addr().As16(), destination.Addr().As16()
	binary.BigEndian.PutUint16(in[32:], source.Port())
	binary.BigEndian.PutUint16(in[34:], destination.Port())
	return n.tables.HashIPv6(&in)
}
