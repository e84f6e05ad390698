package bpf

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"
)

// Address returns an address as the tables hold it: 16 bytes, IPv4 as ::ffff:a.b.c.d.
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

// Endpoint returns an address, a port and a protocol (its number in an IP header) as the tables hold them.
func Endpoint(a netip.AddrPort, protocol uint8) LbEndpoint {
	e := LbEndpoint{Address: Address(a.Addr()), Port: Port(a.Port()), Protocol: protocol, IpVersion: 6}
	if a.Addr().Is4() {
		e.IpVersion = 4
	}
	return e
}

// AddrPort returns the endpoint's address and port.
func (e LbEndpoint) AddrPort() netip.AddrPort { return AddrPort(e.Address, e.Port) }

// PortRange returns the ports from first to last of a protocol as the tables hold them; nothing if there is no more than one.
func PortRange(first, last uint16, protocol uint8) (r LbPortRange) {
	if last > first {
		r = LbPortRange{First: Port(first), Last: Port(last), Protocol: protocol}
	}
	return r
}

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

// fold reduces a sum of 16-bit words to 16 bits in ones' complement arithmetic.
func fold(sum uint32) uint16 {
	sum = sum&0xffff + sum>>16
	return uint16(sum + sum>>16)
}

// Sources returns the first address of a range, how many there are from it on, and the length of the prefix. Where there
// are more than two the first is left out, and so is the last in IPv4: those of a link that hosts do not have. Beyond 2^32
// the rest is not used.
func Sources(p netip.Prefix) (first [16]byte, n uint32, bits uint8) {
	a := p.Masked().Addr()
	size := uint64(1) << min(a.BitLen()-p.Bits(), 33)
	if size > 2 {
		a, size = a.Next(), size-1
		if a.Is4() {
			size--
		}
	}
	return Address(a), uint32(min(size, 1<<32-1)), uint8(p.Bits())
}

// SourceRange is the reverse of Sources; the zero value if there are none.
func SourceRange(first [16]byte, n uint32, bits uint8) netip.Prefix {
	if n == 0 {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(netip.AddrFrom16(first).Unmap(), int(bits)).Masked()
}

// RangeRow returns a range of source addresses as the tables hold it.
func RangeRow(p netip.Prefix) (r LbSourceRange) {
	first := p.Masked().Addr()
	b := Address(first)
	high, low := binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])
	host := first.BitLen() - p.Bits() // bits behind the prefix
	r = LbSourceRange{FirstHigh: high, FirstLow: low, LastHigh: high, LastLow: low | ^uint64(0)>>(64-min(host, 64))}
	if host > 64 {
		r.LastHigh |= ^uint64(0) >> (128 - host)
	}
	return r
}

// Prefix is the reverse of RangeRow.
func (r LbSourceRange) Prefix() netip.Prefix {
	host := bits.Len64(r.FirstLow ^ r.LastLow)
	if high := bits.Len64(r.FirstHigh ^ r.LastHigh); high > 0 {
		host = 64 + high
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], r.FirstHigh)
	binary.BigEndian.PutUint64(b[8:], r.FirstLow)
	a := netip.AddrFrom16(b).Unmap()
	return netip.PrefixFrom(a, max(a.BitLen()-host, 0))
}

// What bpf/src defines of the words of slots and records, and of sizes.
const (
	// RecordEntries is the number of records in a cache line.
	RecordEntries = 8
	// OwnersLine is the number of slots whose owners are in a cache line, and OwnerElsewhere in the place of one that is not
	// there.
	OwnersLine     = 32
	OwnerElsewhere = 0xffff
	// FIBCacheEntries is the number of routes to clients that a CPU keeps.
	FIBCacheEntries = 4096
	// ReplicaNone is the id that no replica has.
	ReplicaNone  = 1<<replicaBits - 1
	replicaBits  = 20
	inTransition = 1 << 31
	ageMask      = 0xf
	closedShift  = replicaBits + 4
	tagBits      = 6
)

// Slot is a slot as one word, as packets read it.
type Slot uint64

// SettledSlot returns a slot whose flows all go to its owner.
func SettledSlot(owner uint32) Slot { return Slot(owner) | Slot(owner)<<32 }

// TransitionSlot returns a slot whose flows from before the change go to the previous owner.
func TransitionSlot(owner, previous uint32) Slot {
	return Slot(owner) | Slot(previous|inTransition)<<32
}

// Owner is the replica of flows that start.
func (s Slot) Owner() uint32 { return uint32(s) & ReplicaNone }

// Previous is the replica of flows that have no record.
func (s Slot) Previous() uint32 { return uint32(s>>32) & ReplicaNone }

// ShortOwner is the owner of a settled slot as a number that counts from the id first on; OwnerElsewhere if it is too far, or
// the slot in transition.
func (s Slot) ShortOwner(first uint32) uint16 {
	n := s.Owner() - first
	if uint32(s) != uint32(s>>32) || n >= OwnerElsewhere { // below the first one it wraps
		return OwnerElsewhere
	}
	return uint16(n)
}

// InTransition tells whether flows from before a change may go to the previous owner.
func (s Slot) InTransition() bool { return s>>63 != 0 }

// Age is how long ago a flow went to the previous owner, in steps of the idle time.
func (s Slot) Age() uint32 { return uint32(s>>(32+replicaBits)) & ageMask }

// Renumbered returns the slot with other numbers of its owners.
func (s Slot) Renumbered(owner, previous uint32) Slot {
	return s&(Slot(ageMask<<replicaBits|inTransition)<<32) | Slot(owner) | Slot(previous)<<32
}

// WithPrevious returns the slot with another previous owner, of age 0.
func (s Slot) WithPrevious(previous uint32) Slot {
	return s&^(Slot(ageMask<<replicaBits|ReplicaNone)<<32) | Slot(previous)<<32
}

// WithAge returns the slot with another age, 0 to 15.
func (s Slot) WithAge(age uint32) Slot {
	return s&^(Slot(ageMask)<<(32+replicaBits)) | Slot(age)<<(32+replicaBits)
}

// Record says which replica a flow is with, as packets read it; 0 is no record.
type Record uint64

// Hash is the hash of the flow by its service's function.
func (r Record) Hash() uint32 { return uint32(r >> 32) }

// Replica is the replica's id.
func (r Record) Replica() uint32 { return uint32(r) & ReplicaNone }

// Age is how long ago the flow was seen, in steps of the idle time.
func (r Record) Age() uint32 { return uint32(r>>replicaBits) & ageMask }

// WithAge returns the record with another age, 0 to 15.
func (r Record) WithAge(age uint32) Record {
	return r&^(ageMask<<replicaBits) | Record(age)<<replicaBits
}

// WithReplica returns the record with another replica's id.
func (r Record) WithReplica(id uint32) Record { return r&^ReplicaNone | Record(id) }

// SameFlow tells whether two records of one line are of the same flow.
func (r Record) SameFlow(o Record) bool {
	return r != 0 && o != 0 && r>>(32-tagBits) == o>>(32-tagBits)
}

// Closed tells which ends have closed the flow.
func (r Record) Closed() (byClient, byReplica bool) {
	return r>>closedShift&1 != 0, r>>closedShift&2 != 0
}

// HasEnded tells whether both ends have closed the flow.
func (r Record) HasEnded() bool {
	byClient, byReplica := r.Closed()
	return byClient && byReplica
}

// HasTag tells whether the record is that of a flow with this hash and this key (FlowKey).
func (r Record) HasTag(hash uint32, key uint64) bool {
	return r != 0 && r>>(32-tagBits) == Record(hash)<<tagBits|Record(key>>(64-tagBits))
}

// FlowKey returns the key of a flow to a service with this first port: its low bits choose the line of the record, its 6
// highest are in the record. key_to of bpf/src/hash.h computes the same.
func FlowKey(secret [4]uint64, source, destination netip.AddrPort, protocol uint8, first uint16) uint64 {
	ports := Port(destination.Port() ^ first)
	return flowKey(secret, source, destination, protocol, uint64(binary.LittleEndian.Uint16(ports[:]))<<48)
}

func flowKey(secret [4]uint64, source, destination netip.AddrPort, protocol uint8, rest uint64) uint64 {
	from, to := source.Addr().AsSlice(), destination.Addr().AsSlice()
	ports := append(binary.BigEndian.AppendUint16(nil, source.Port()), byte(destination.Port()>>8), byte(destination.Port()))
	rest |= uint64(binary.LittleEndian.Uint32(ports)) | uint64(protocol)<<32
	h := secret[0]
	if len(from) == 4 {
		rest |= 4 << 40
		h = mix(h, uint64(binary.LittleEndian.Uint32(from))|uint64(binary.LittleEndian.Uint32(to))<<32)
		h = mix(h+secret[1], secret[2])
	} else {
		rest |= 6 << 40
		h = mix(h, binary.LittleEndian.Uint64(from))
		h = mix(h+secret[1], binary.LittleEndian.Uint64(from[8:]))
		h = mix(h+secret[2], binary.LittleEndian.Uint64(to))
		h = mix(h+secret[3], binary.LittleEndian.Uint64(to[8:]))
	}
	h = mix(h+secret[3], rest)
	return mix(h, secret[1])
}

func mix(h, word uint64) uint64 {
	h = (h ^ word) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}

// FragmentKey returns the key of a fragment's packet. The identification has 16 bits in IPv4; the protocol is 0 in
// IPv6. fragment_key of bpf/src/fragments.h computes the same.
func FragmentKey(secret [4]uint64, source, destination netip.Addr, id uint32, protocol uint8) uint64 {
	if source.Is4() {
		id <<= 16
	}
	return flowKey(secret, netip.AddrPortFrom(source, uint16(id>>16)), netip.AddrPortFrom(destination, uint16(id)), protocol, 0)
}

// Find returns what the first fragment of the packet of that key says.
func (f LbFragmentLine) Find(key uint64) (protocol uint8, source, destination uint16, ok bool) {
	for _, e := range f.Entry {
		if e.Check^e.Says == key {
			var ports [4]byte
			binary.LittleEndian.PutUint32(ports[:], uint32(e.Says))
			return uint8(e.Says >> 32), binary.BigEndian.Uint16(ports[:]), binary.BigEndian.Uint16(ports[2:]), true
		}
	}
	return 0, 0, 0, false
}

// PathMTU splits the word that a replica has of the path to it: the MTU, 0 if no router told of one, and when one did, by
// the machine's monotonic clock, to 2^30 ns.
func PathMTU(word uint64) (mtu int, told time.Duration) {
	return int(word & 0xffff), time.Duration(word >> 16 << 30)
}
