package tables

import (
	"sync/atomic"
	"unsafe"

	"lbctl/bpf"
)

// ShortReplicas are the words of replicas that most IPv4 packets read in place of their rows, and the next hops that replicas
// share. The zero value has no rows: so have former tables.
//
// Whether a word has a hop follows from the row: see ShortenReplica. Whoever changes a row calls it.
type ShortReplicas struct {
	Words Table[bpf.LbShortReplica]
	Hops  Table[bpf.LbSharedHop]
	grace *Grace
	free  Extents
	// rowOfNone: the first row of hops stands for no hop. In former tables the number of a hop is that of its row plus one.
	rowOfNone bool
	// shared are the hops in use, by number, and numbers the same by what they are. held is the number that each replica has: packets
	// take it out of a word.
	shared  map[uint16]*sharedHop
	numbers map[bpf.LbSharedHop]uint16
	held    []uint16
	retired int // rows that no replica has and packets may still read
	// adopting: packets may still read the hops of an earlier process.
	adopting bool
}

type sharedHop struct {
	is    bpf.LbSharedHop
	users int
}

// SharedHops is the number of rows of shared hops: as many as a word can number.
const SharedHops = 1 << 16

// DeferWith has rows of hops reused after a grace period of g.
func (t *Tables) DeferWith(g *Grace) { t.Short.grace = g }

func (s *ShortReplicas) open() {
	s.free, s.held, s.rowOfNone = NewExtents(uint32(s.Hops.Len())), make([]uint16, s.Words.Len()), s.Hops.flat
	if s.rowOfNone {
		_ = s.free.Take(0, 1) // it is free
	}
	s.shared, s.numbers = map[uint16]*sharedHop{}, map[bpf.LbSharedHop]uint16{}
}

// Low reports that many rows of hops wait for a grace period: they should be reclaimed. Without a row for another hop packets read
// the rows of replicas, which takes longer.
func (s *ShortReplicas) Low() bool { return s.retired > 0 && 4*s.retired >= s.Hops.Len() }

// Word returns what packets read of a replica; ok is false in former tables.
func (s *ShortReplicas) Word(replica uint32) (is bpf.LbShortReplica, ok bool) {
	if s.Words.Len() == 0 {
		return is, false
	}
	word := atomic.LoadUint64(s.word(replica))
	return *(*bpf.LbShortReplica)(unsafe.Pointer(&word)), true
}

// Hop returns what a word says of the next hop: the zero value if packets look at the row of the replica.
func (s *ShortReplicas) Hop(word bpf.LbShortReplica) bpf.LbSharedHop {
	if row := s.row(word.Hop); word.Hop > 0 && row < uint32(s.Hops.Len()) {
		return *s.Hops.Row(row)
	}
	return bpf.LbSharedHop{}
}

// row returns the row of a hop by its number.
func (s *ShortReplicas) row(n uint16) uint32 {
	if s.rowOfNone {
		return uint32(n)
	}
	return uint32(n) - 1
}

func (s *ShortReplicas) word(replica uint32) *uint64 {
	return (*uint64)(unsafe.Pointer(s.Words.Row(replica)))
}

// Brief returns what the row of a replica is in short, and the hop; ok is false where packets have to look at the row.
func (t *Tables) Brief(replica uint32) (is bpf.LbShortReplica, hop bpf.LbSharedHop, ok bool) {
	row := t.Replicas.Row(replica)
	next := t.Hop(replica)
	is = bpf.LbShortReplica{Address: [4]byte(row.Address[12:]), Port: row.Port}
	hop = bpf.LbSharedHop{Hop: next.LbHop, TunnelSource: [4]byte(next.Tunnel[12:])}
	ok = row.IpVersion == 4 && row.State == uint8(bpf.LbReplicaStateREPLICA_ACTIVE) &&
		next.State == uint8(bpf.LbHopStateHOP_RESOLVED) && atomic.LoadUint64(&row.PathMtu) == 0
	if !ok {
		return bpf.LbShortReplica{}, bpf.LbSharedHop{}, false
	}
	return is, hop, true
}

// InShort returns what the word of a replica has to be, unless a packet has taken the hop out of it.
func (t *Tables) InShort(replica uint32) bpf.LbShortReplica {
	is, hop, ok := t.Brief(replica)
	if held := t.Short.held[replica]; ok && held != 0 && t.Short.shared[held].is == hop {
		is.Hop = held
	}
	return is
}

// ShortenReplica makes the word of a replica what its row is in short.
func (t *Tables) ShortenReplica(replica uint32) {
	s := &t.Short
	if s.Words.Len() == 0 {
		return
	}
	is, hop, ok := t.Brief(replica)
	held := s.held[replica]
	if ok && held != 0 && s.shared[held].is == hop {
		is.Hop = held
	} else if ok {
		is.Hop = s.hold(hop)
	}
	s.held[replica] = is.Hop
	if was, _ := s.Word(replica); was != is {
		t.Steps.store64(s.word(replica), *(*uint64)(unsafe.Pointer(&is)))
	}
	if held != is.Hop {
		s.leave(held)
	}
	// A packet that lowers the path MTU takes the hop out of the word after it: one of the two comes last.
	if is.Hop != 0 && atomic.LoadUint64(&t.Replicas.Row(replica).PathMtu) != 0 {
		t.ShortenReplica(replica)
	}
}

// hold returns the number of a hop for one more replica, 0 if there is no row for it.
func (s *ShortReplicas) hold(hop bpf.LbSharedHop) uint16 {
	n := s.numbers[hop]
	if n == 0 {
		if s.adopting {
			return 0
		}
		row, ok := s.free.Alloc(1)
		if !ok {
			return 0
		}
		s.Hops.Put(row, hop)
		if n = uint16(row); !s.rowOfNone {
			n++
		}
		s.numbers[hop], s.shared[n] = n, &sharedHop{is: hop}
	}
	s.shared[n].users++
	return n
}

// leave takes a replica from a hop. Packets may still read one that has none any more.
func (s *ShortReplicas) leave(n uint16) {
	if n == 0 {
		return
	}
	h := s.shared[n]
	if h.users--; h.users > 0 {
		return
	}
	delete(s.shared, n)
	if s.numbers[h.is] == n {
		delete(s.numbers, h.is)
	}
	s.retired++
	s.grace.Defer(func() {
		s.retired--
		s.free.Release(s.row(n), 1)
	})
}

// Adopt takes the hops that the words of an earlier process have. From words that their rows do not bear out it takes the hop:
// that process may have ended before it wrote one. There are no other hops until Adopted.
func (t *Tables) Adopt() {
	s := &t.Short
	s.adopting = true
	for id := range uint32(s.Words.Len()) {
		word, _ := s.Word(id)
		if word.Hop == 0 {
			continue
		}
		is, hop, ok := t.Brief(id)
		if is.Hop = word.Hop; !ok || is != word || s.Hop(word) != hop {
			t.Steps.store64(s.word(id), 0)
			continue
		}
		if s.shared[word.Hop] == nil {
			if s.free.Take(s.row(word.Hop), 1) != nil {
				continue
			}
			s.shared[word.Hop] = &sharedHop{is: hop}
			if s.numbers[hop] == 0 {
				s.numbers[hop] = word.Hop
			}
		}
		s.shared[word.Hop].users++
		s.held[id] = word.Hop
	}
}

// Adopted tells that packets have been waited for since Adopt.
func (t *Tables) Adopted() { t.Short.adopting = false }

// InUse calls f with the row of each hop that replicas have, and what it has to be.
func (s *ShortReplicas) InUse(f func(row uint32, is bpf.LbSharedHop, users int)) {
	for n, h := range s.shared {
		f(s.row(n), h.is, h.users)
	}
}
