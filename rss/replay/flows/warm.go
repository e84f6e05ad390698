package flows

import "hash/maphash"

// MaxWarm is the most keys that Warm takes.
const MaxWarm = 64

// Warm loads what Get and Find of these keys, at most MaxWarm, will read. One look-up after another
// waits for memory twice each; here the waits overlap, which with many flows is several times
// faster.
func (t *Table) Warm(keys []Key) {
	var hashes [MaxWarm]uint64
	for i := range keys {
		hashes[i] = maphash.Bytes(t.seed, keys[i][:])
	}
	mask := uint64(len(t.index) - 1)
	var places [MaxWarm]uint64
	for i := range keys {
		places[i] = t.index[hashes[i]&mask]
	}
	var touched uint64
	for i := range keys {
		if at := places[i]; at != 0 {
			touched += t.At(int(uint32(at)) - 1).Packets
		}
	}
	t.touched = touched // else the compiler may drop the loads
}
