package verify

import (
	"encoding/binary"
	"fmt"
	"slices"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
)

// Class is a class of packets that a NIC may hash differently from others.
type Class string

// The classes. A packet is in the first of Malformed, NonIP, VLAN, FragmentFirst, FragmentLater, Options and
// Extensions that applies, else in one of the others.
const (
	TCP4          Class = "tcp4"
	UDP4          Class = "udp4"
	TCP6          Class = "tcp6"
	UDP6          Class = "udp6"
	OtherIP       Class = "other-ip"
	FragmentFirst Class = "fragment-first"
	FragmentLater Class = "fragment-later"
	Options       Class = "options"    // in an IPv4 header
	Extensions    Class = "extensions" // headers of IPv6
	VLAN          Class = "vlan"
	NonIP         Class = "non-ip"
	Malformed     Class = "malformed"
)

// Classes returns all of them in the order in which they are shown.
func Classes() []Class {
	return []Class{
		TCP4, UDP4, TCP6, UDP6, OtherIP, FragmentFirst, FragmentLater, Options, Extensions, VLAN, NonIP, Malformed,
	}
}

// ClassOf returns the class of a frame that begins with its Ethernet header.
func ClassOf(frame []byte) Class {
	h, err := packet.Parse(frame)
	switch {
	case err == packet.ErrEthernet, err == packet.ErrIP:
		return Malformed
	case h.EtherType != packet.TypeIPv4 && h.EtherType != packet.TypeIPv6:
		return NonIP
	case h.VLANs > 0:
		return VLAN
	case h.Fragment && offset(frame, &h) == 0:
		return FragmentFirst
	case h.Fragment:
		return FragmentLater
	case h.Options:
		return Options
	case h.Extensions > 0:
		return Extensions
	}
	return classOfFlow(h.Flow)
}

// classOfFlow returns the class of the plain packets of a flow.
func classOfFlow(f packet.Flow) Class {
	v4 := f.Source.Addr().Is4()
	switch {
	case f.Protocol == packet.TCP && v4:
		return TCP4
	case f.Protocol == packet.UDP && v4:
		return UDP4
	case f.Protocol == packet.TCP:
		return TCP6
	case f.Protocol == packet.UDP:
		return UDP6
	}
	return OtherIP
}

// offset returns the position of a fragment's payload in the whole packet's, in bytes.
func offset(frame []byte, h *packet.Headers) int {
	if h.EtherType == packet.TypeIPv4 {
		return packet.IPv4(frame[h.Network:]).FragmentOffset()
	}
	// The fragment header is the last extension header that was read (RFC 8200 section 4.5).
	header := frame[h.Transport-8:]
	return int(binary.BigEndian.Uint16(header[2:])) &^ 7
}

// tally counts the packets of a class.
type tally struct {
	packets, queueAgreed     uint64
	hashCompared, hashAgreed uint64
	// alternatives counts the packets that agree with each alternative model.
	alternatives []uint64
	examples     []Example
}

// maxExamples is the most examples of a class.
const maxExamples = 3

// example keeps an example, at most one for each flow and queue.
func (v *Verifier) example(t *tally, key flowKey, o Observation, want nic.Result) {
	for i := range t.examples {
		if e := &t.examples[i]; e.key == key && e.Queue == o.Queue {
			e.Packets += o.Packets
			return
		}
	}
	if len(t.examples) == maxExamples {
		return
	}
	frame := o.Frame
	if frame == nil {
		frame = v.frames[key]
	}
	e := Example{
		key: key, Flow: want.Flow.String(), Packets: o.Packets, Frame: fmt.Sprintf("%x", frame),
		Queue: o.Queue, WantQueue: want.Queue, WantFields: want.Fields.String(),
	}
	if !want.Flow.Source.IsValid() {
		e.Flow = ""
	}
	if o.Hashed {
		e.Hash = fmt.Sprintf("0x%08x", o.Hash)
	}
	if want.Hashed {
		e.WantHash = fmt.Sprintf("0x%08x", want.Hash)
	}
	t.examples = append(t.examples, e)
}

// alternative is a model with other hash fields than the one that is verified.
type alternative struct {
	fields rss.Fields
	nic    *nic.NIC
}

// alternatives returns models that hash the addresses, the 4-tuple, or nothing of all packets.
func alternatives(c nic.Config) ([]alternative, error) {
	var all []alternative
	for _, fields := range []rss.Fields{rss.Addresses, rss.FourTuple, 0} {
		other := c
		other.Key, other.Table = slices.Clone(c.Key), slices.Clone(c.Table)
		for _, n := range other.FieldSets() {
			*n.Fields = fields
		}
		other.IP4, other.IP6 = fields&rss.Addresses, fields&rss.Addresses
		n, err := nic.New(other)
		if err != nil {
			return nil, err
		}
		all = append(all, alternative{fields, n})
	}
	return all, nil
}
