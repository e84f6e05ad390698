package datapath

import (
	"lbctl/bpf"
	"lbctl/lb/oracle"

	"github.com/cilium/ebpf"
)

// recallFragment looks up what the first fragment of a packet said. A look-up from user space does not
// count as a use of the entry, so the kernel evicts it no later than it would have.
func recallFragment(m *ebpf.Map, k oracle.FragmentKey) (f bpf.LbFragment, ok bool) {
	key := bpf.FragmentKey(k.Source, k.Destination, k.ID, uint8(k.Protocol))
	return f, m.Lookup(key, &f) == nil
}
