package pcap

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// LinkType is the type of link header of a record (tcpdump.org, "Link-layer header types").
type LinkType uint16

// The supported link types.
const (
	Null      LinkType = 0   // BSD loopback: the address family in the host's byte order
	Ethernet  LinkType = 1   // also what Linux writes for lo
	RawBSD    LinkType = 12  // an IP packet
	RawOpen   LinkType = 14  // the same in files of OpenBSD
	Raw       LinkType = 101 // the same
	Loop      LinkType = 108 // OpenBSD loopback: the address family in network byte order
	LinuxSLL  LinkType = 113 // Linux cooked, of the device "any"
	IPv4      LinkType = 228 // an IPv4 packet
	IPv6      LinkType = 229 // an IPv6 packet
	LinuxSLL2 LinkType = 276 // Linux cooked version 2
	NFLog     LinkType = 239 // what netfilter logged (NFLOG): attributes, one of which is the packet

	// The port of a switch's CPU: Ethernet with the tag of a switch between its source address and its type, or in front.
	DSABroadcom        LinkType = 281
	DSABroadcomPrepend LinkType = 282
	DSAMarvell         LinkType = 284
	DSAMarvellEther    LinkType = 285 // the tag has an EtherType of its own
)

// linkNames are the names of the supported link types and of some common others.
var linkNames = map[LinkType]string{
	Null: "null", Ethernet: "ethernet", RawBSD: "raw", RawOpen: "raw", Raw: "raw", Loop: "loop",
	LinuxSLL: "linux-sll", IPv4: "ipv4", IPv6: "ipv6", LinuxSLL2: "linux-sll2", NFLog: "nflog",
	DSABroadcom: "dsa-brcm", DSABroadcomPrepend: "dsa-brcm-prepend", DSAMarvell: "dsa", DSAMarvellEther: "edsa",
	9: "ppp", 105: "802.11", 127: "802.11-radiotap", 195: "802.15.4", 189: "usb", 220: "usb", 187: "bluetooth", 251: "bluetooth-le",
}

// String returns "ethernet", "linux-sll" and so on, or "linktype-N".
func (l LinkType) String() string {
	if name, ok := linkNames[l]; ok {
		return name
	}
	return fmt.Sprintf("linktype-%d", uint16(l))
}

// readable are the supported link types, in the order of messages.
var readable = [...]LinkType{Ethernet, RawBSD, RawOpen, Raw, IPv4, IPv6, LinuxSLL, LinuxSLL2, Null, Loop, NFLog,
	DSABroadcom, DSABroadcomPrepend, DSAMarvell, DSAMarvellEther}

// Readable tells whether the type is supported.
func (l LinkType) Readable() bool {
	for _, r := range readable {
		if l == r {
			return true
		}
	}
	return false
}

// ReadableTypes lists the supported link types, for a message.
func ReadableTypes() string {
	names := make([]string, len(readable))
	for i, l := range readable {
		names[i] = fmt.Sprintf("%v (%d)", l, uint16(l))
	}
	return strings.Join(names, ", ")
}

// The lengths in bytes of link headers.
const (
	ethernetLength = 14
	familyLength   = 4
	sllLength      = 16
	sll2Length     = 20
	nflogLength    = 4
	addresses      = 12 // of an Ethernet header
)

const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
)

// frame turns the record buf[start:end] into an Ethernet frame. It overwrites the record's link
// header and up to headroom bytes before start. A record too short for its link header
// becomes an empty frame. little is the byte order of the file.
func (l LinkType) frame(buf []byte, start, end int, little bool) []byte {
	record := buf[start:end]
	switch l {
	case Ethernet:
		return record
	case Raw, RawBSD, RawOpen:
		return behind(buf, start, end, version(record))
	case IPv4:
		return behind(buf, start, end, etherIPv4)
	case IPv6:
		return behind(buf, start, end, etherIPv6)
	case Null, Loop:
		if len(record) < familyLength {
			return nil
		}
		return behind(buf, start+familyLength, end, family(record))
	case LinuxSLL: // from byte 2 on, its EtherType is where Ethernet's is
		if len(record) < sllLength {
			return nil
		}
		return record[sllLength-ethernetLength:]
	case LinuxSLL2: // its EtherType comes first
		if len(record) < sll2Length {
			return nil
		}
		return behind(buf, start+sll2Length, end, binary.BigEndian.Uint16(record))
	case NFLog:
		return logged(buf, start, end, little)
	case DSABroadcom, DSAMarvell:
		return untagged(record, 4)
	case DSAMarvellEther:
		return untagged(record, 8)
	case DSABroadcomPrepend:
		return record[min(4, len(record)):]
	}
	return nil
}

// untagged removes a switch's tag of so many bytes after the addresses.
func untagged(record []byte, length int) []byte {
	if len(record) < addresses+length {
		return nil
	}
	copy(record[length:], record[:addresses])
	return record[length:]
}

// logged finds the packet in the attributes of an NFLOG record. Each has its length, its type and the value, padded to 4
// bytes, in the byte order of the machine that captured (tcpdump.org, LINKTYPE_NFLOG).
func logged(buf []byte, start, end int, little bool) []byte {
	const head, payload = 4, 9
	order := binary.ByteOrder(binary.BigEndian)
	if little {
		order = binary.LittleEndian
	}
	for at := start + nflogLength; at+head <= end; {
		length, kind := int(order.Uint16(buf[at:])), order.Uint16(buf[at+2:])
		if length < head {
			return nil
		}
		if kind == payload {
			packet := buf[at+head : min(at+length, end)]
			return behind(buf, at+head, at+head+len(packet), version(packet))
		}
		at += (length + 3) &^ 3
	}
	return nil
}

// behind writes an Ethernet header in front of the packet buf[start:end].
func behind(buf []byte, start, end int, etherType uint16) []byte {
	frame := buf[start-ethernetLength : end]
	clear(frame[:ethernetLength-2])
	binary.BigEndian.PutUint16(frame[ethernetLength-2:], etherType)
	return frame
}

// version returns the EtherType of a raw IP packet, 0 for other data.
func version(packet []byte) uint16 {
	if len(packet) == 0 {
		return 0
	}
	switch packet[0] >> 4 {
	case 4:
		return etherIPv4
	case 6:
		return etherIPv6
	}
	return 0
}

// family returns the EtherType of an address family. Its byte order and, for IPv6, its number depend on the system that
// wrote the file: 24 NetBSD and OpenBSD, 28 FreeBSD, 30 macOS, 10 Linux.
func family(record []byte) uint16 {
	number := binary.BigEndian.Uint32(record)
	if number > 0xffff {
		number = binary.LittleEndian.Uint32(record)
	}
	switch number {
	case 2:
		return etherIPv4
	case 10, 24, 28, 30:
		return etherIPv6
	}
	return 0
}
