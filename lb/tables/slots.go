package tables

import (
	"sync/atomic"
	"unsafe"

	"lbctl/bpf"
)

// Slot reads a slot.
func (t *Tables) Slot(at uint32) bpf.Slot { return bpf.Slot(atomic.LoadUint64(t.slotWord(at))) }

// SetSlot writes a slot that no packet reads yet, of a service whose owners count from the id first on.
func (t *Tables) SetSlot(at uint32, s bpf.Slot, first uint32) {
	put(&t.Steps, t.slotWord(at), uint64(s))
	if t.Owners.Len() > 0 {
		put(&t.Steps, t.owner(at), s.ShortOwner(first))
	}
}

// SwapSlot changes a slot unless a packet changed it first. Packets look at the slot itself unless it is settled: before it
// changes if it will not be, and until it has changed if it will.
func (t *Tables) SwapSlot(at uint32, was, is bpf.Slot, first uint32) bool {
	short := is.ShortOwner(first)
	if short == bpf.OwnerElsewhere {
		t.setShortOwner(at, short)
	}
	if !t.Steps.swap64(t.slotWord(at), uint64(was), uint64(is)) {
		return false
	}
	t.setShortOwner(at, short)
	return true
}

// ShortOwner returns what packets read before a slot, and in its place if it is settled. known is false in former tables.
func (t *Tables) ShortOwner(at uint32) (owner uint16, known bool) {
	if t.Owners.Len() == 0 {
		return bpf.OwnerElsewhere, false
	}
	return *t.owner(at), true
}

// ShortenSlot makes what packets read before a slot what it is to be.
func (t *Tables) ShortenSlot(at, first uint32) { t.setShortOwner(at, t.Slot(at).ShortOwner(first)) }

func (t *Tables) setShortOwner(at uint32, is uint16) {
	if owner, known := t.ShortOwner(at); known && owner != is {
		t.Steps.store16(t.owner(at), is)
	}
}

func (t *Tables) slotWord(at uint32) *uint64 { return (*uint64)(unsafe.Pointer(t.Slots.Row(at))) }

func (t *Tables) owner(at uint32) *uint16 {
	return &t.Owners.Row(at / bpf.OwnersLine).Owner[at%bpf.OwnersLine]
}
