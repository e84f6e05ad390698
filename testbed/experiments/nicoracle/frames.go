package nicoracle

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/rss/packet"
	"lbctl/testbed/vm"
	"lbctl/testbed/vm/line"
)

// Kind is a kind of packets that NICs treat differently, or might.
type Kind uint8

// The kinds.
const (
	TCP4 Kind = iota
	UDP4
	TCP6
	UDP6
	// Other is neither TCP nor UDP.
	Other
	// FirstFragment and LaterFragment are of UDP datagrams; the first has the ports, the later not.
	FirstFragment
	LaterFragment
	// Options is TCP or UDP behind an IPv4 header with options.
	Options
	// HopByHop is TCP or UDP behind an IPv6 header with hop-by-hop options.
	HopByHop
	// VLAN is TCP or UDP behind one tag, or behind two, the outer one of 802.1ad. (QEMU does not look
	// behind two of 802.1Q, net/eth.h, eth_get_l2_hdr_length; the model does.)
	VLAN
	// NotIP has an EtherType for experiments (IEEE 802, 0x88b5).
	NotIP
	kinds
)

// String returns the name that reports and golden files have.
func (k Kind) String() string {
	return [kinds]string{"tcp4", "udp4", "tcp6", "udp6", "other protocol", "udp fragment, first", "udp fragment, later",
		"ipv4 options", "ipv6 hop-by-hop", "vlan tags", "not ip"}[k]
}

// Frame is one to be sent.
type Frame struct {
	Kind  Kind
	Bytes []byte
	// Flow is the one it was built from; a fragment's has the ports, also where the fragment
	// does not show them.
	Flow packet.Flow
}

// hostMAC is where frames come from.
var hostMAC = packet.MAC{0x02, 0, 0, 0, 0, 1}

// others are the protocols of Other, by family.
func others(v4 bool) []packet.Protocol {
	const icmp, igmp, gre, esp, icmp6, ospf, sctp = 1, 2, 47, 50, 58, 89, 132
	if v4 {
		return []packet.Protocol{icmp, igmp, gre, esp, ospf, sctp}
	}
	return []packet.Protocol{icmp6, gre, ospf, sctp}
}

// newFrame makes a random frame of a kind for a receiver. Its last four bytes are the tag.
func newFrame(r *rand.Rand, k Kind, to packet.MAC, tag uint32) Frame {
	coin := r.IntN(2) == 0
	v4 := k == TCP4 || k == UDP4 || k == Options || coin && k != TCP6 && k != UDP6 && k != HopByHop
	f := packet.Frame{
		Source: hostMAC, Destination: to, ID: uint16(r.Uint32()),
		Flow:    packet.Flow{Source: endpoint(r, v4), Destination: endpoint(r, v4), Protocol: packet.UDP},
		Payload: make([]byte, 8*(1+r.IntN(5))),
	}
	switch k {
	case TCP4, TCP6:
		f.Flow.Protocol = packet.TCP
	case Other:
		list := others(v4)
		f.Flow.Protocol = list[r.IntN(len(list))]
	case FirstFragment:
		f.Fragment = &packet.Fragment{More: true}
	case LaterFragment:
		f.Fragment = &packet.Fragment{Offset: 8 * (1 + r.IntN(180)), More: coin}
	case Options:
		f.Options = noOperations(4 * (1 + r.IntN(10)))
		f.Flow.Protocol = either(r)
	case HopByHop:
		f.Extensions = []packet.Extension{{Kind: packet.HopByHop, Data: padding(6 + 8*r.IntN(3))}}
		f.Flow.Protocol = either(r)
	case VLAN:
		f.Tags = make([]packet.Tag, 1+r.IntN(packet.MaxVLANs))
		for i := range f.Tags {
			f.Tags[i].ID = uint16(1 + r.IntN(4094))
		}
		if len(f.Tags) == 2 {
			f.Tags[0].Type = packet.TypeServiceVLAN
		}
		f.Flow.Protocol = either(r)
	}
	for i := range f.Payload {
		f.Payload[i] = byte(r.Uint32())
	}
	binary.BigEndian.PutUint32(f.Payload[len(f.Payload)-4:], tag)
	b := f.Marshal()
	if k == NotIP {
		packet.Ethernet(b).SetEtherType(0x88b5)
	}
	return Frame{Kind: k, Bytes: b, Flow: f.Flow}
}

func either(r *rand.Rand) packet.Protocol {
	return []packet.Protocol{packet.TCP, packet.UDP}[r.IntN(2)]
}

// endpoint returns a random address of a family, and a random port.
func endpoint(r *rand.Rand, v4 bool) netip.AddrPort {
	var b [16]byte
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	b[0] |= 0x20 // not ::ffff:0:0/96, which would be IPv4
	address := netip.AddrFrom16(b)
	if v4 {
		address = netip.AddrFrom4([4]byte(b[12:]))
	}
	return netip.AddrPortFrom(address, uint16(r.Uint32()))
}

// noOperations returns IPv4 options without effect (RFC 791 section 3.1: type 1), ended by a zero.
func noOperations(length int) []byte {
	b := make([]byte, length)
	for i := range b[:length-1] {
		b[i] = 1
	}
	return b
}

// padding returns one PadN option of a length (RFC 8200 section 4.2).
func padding(length int) []byte {
	b := make([]byte, length)
	b[0], b[1] = 1, byte(length-2)
	return b
}

// Setup is one set-up of the guest's NIC and the frames that it gets.
type Setup struct {
	Name   string
	Change line.Change
	Frames []Frame
}

// Names of set-ups that controls need.
const (
	beforeRewrite = "random key"
	afterRewrite  = "another table"
	hashOff       = "hash off"
)

// fields are the hash fields of TCP and UDP of both families. The driver has the addresses of other IP
// packets hashed unless it is told to leave out TCP or UDP altogether (Linux,
// drivers/net/virtio_net.c, virtnet_set_hashflow).
func fields(tcp4, udp4, tcp6, udp6 rss.Fields) []ethtool.FieldsOf {
	return []ethtool.FieldsOf{
		{Type: ethtool.TCP4, Fields: tcp4}, {Type: ethtool.UDP4, Fields: udp4},
		{Type: ethtool.TCP6, Fields: tcp6}, {Type: ethtool.UDP6, Fields: udp6},
	}
}

// setups returns all set-ups. All but the last have a number of packets together; the last, without
// hash, is a control and has packets of its own.
func setups(r *rand.Rand, packets int, hello line.Hello) []Setup {
	const all, addresses = rss.FourTuple, rss.Addresses
	whole, equal := fields(all, all, all, all), rss.TablePlan{Equal: vm.Queues}
	one, two, three, four, five := randomKey(r, hello), randomKey(r, hello), randomKey(r, hello), randomKey(r, hello), randomKey(r, hello)
	list := []Setup{
		setup("microsoft key", vm.Queues, rss.MicrosoftKey(), equal, whole),
		setup(beforeRewrite, vm.Queues, one, equal, whole),
		setup(afterRewrite, vm.Queues, one, rss.TablePlan{Weights: []int{1, 5, 3, 7}}, whole),
		setup("steep weights", vm.Queues, two, rss.TablePlan{Weights: []int{8, 4, 2, 1}}, whole),
		setup("three queues", 3, three, rss.TablePlan{Equal: 3}, whole),
		setup("two queues from 1", 3, symmetricKey(), rss.TablePlan{Start: 1, Equal: 2}, whole),
		setup("udp by addresses", vm.Queues, four, equal, fields(all, addresses, all, addresses)),
		setup("tcp by addresses", vm.Queues, five, equal, fields(addresses, all, addresses, all)),
	}
	for i := range list {
		n := packets*(i+1)/len(list) - packets*i/len(list)
		list[i].Frames = newFrames(r, n, hello)
		if list[i].Name == afterRewrite {
			list[i].Frames = list[i-1].Frames // the same frames, so that only the table can make a difference
		}
	}
	off := setup(hashOff, vm.Queues, one, equal, whole)
	off.Change.Hash = false
	off.Frames = newFrames(r, 10*int(kinds), hello)
	return append(list, off)
}

func setup(name string, queues int, key rss.Key, table rss.TablePlan, fields []ethtool.FieldsOf) Setup {
	return Setup{Name: name, Change: line.Change{
		Queues: queues, Hash: true, RSS: ethtool.Change{Table: &table, Key: key, Fields: fields},
	}}
}

// newFrames makes frames of all kinds in turn, tagged with their indexes.
func newFrames(r *rand.Rand, n int, hello line.Hello) []Frame {
	frames := make([]Frame, n)
	for i := range frames {
		frames[i] = newFrame(r, Kind(i%int(kinds)), hello.MAC, uint32(i))
	}
	return frames
}

// randomKey returns a key of the length that the NIC has.
func randomKey(r *rand.Rand, hello line.Hello) rss.Key {
	key := make(rss.Key, len(hello.Settings.RSS.Key))
	for i := range key {
		key[i] = byte(r.Uint32())
	}
	return key
}

func symmetricKey() rss.Key {
	key, _ := rss.Named("symmetric")
	return key
}
