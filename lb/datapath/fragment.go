package datapath

import (
	"lbctl/bpf"
	"lbctl/lb/oracle"

	"github.com/cilium/ebpf"
)

// recallFragment looks up what the first fragment of a packet said, without making it any younger
// to the kernel, which forgets the oldest: it marks what a program looks up, not what we do.
func recallFragment(m *ebpf.Map, k oracle.FragmentKey) (f bpf.LbFragment, ok bool) {
	key := bpf.FragmentKey(k.Source, k.Destination, k.ID, uint8(k.Protocol))
	return f, m.Lookup(key, &f) == nil
}
