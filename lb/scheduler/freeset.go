package scheduler

// freeSet knows the free slots of a table, one bit each: a table of 65,537 then fits the
// level-1 cache, and most of the time goes into asking for slots that are taken.
type freeSet []uint64

// newFreeSet returns n free slots.
func newFreeSet(n uint32) freeSet {
	f := make(freeSet, n/64+1)
	for i := range f {
		f[i] = ^uint64(0)
	}
	return f
}

// take reports whether the slot was free, and takes it.
func (f freeSet) take(slot uint32) bool {
	word, bit := &f[slot/64], uint64(1)<<(slot%64)
	if *word&bit == 0 {
		return false
	}
	*word &^= bit
	return true
}
