package decap

import (
	"fmt"
	"strings"
	"sync"

	"lbctl/bpf"
	"lbctl/lb"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// Unpacked is the reason of the packets whose inner one went up.
const Unpacked lb.Reason = "unpacked"

// Reasons returns the names of enum decap_reason in the order of their numbers, in lower
// case and without the prefix. They come from the BTF of the compiled object.
var Reasons = sync.OnceValues(readReasons)

func readReasons() ([]lb.Reason, error) {
	spec, err := bpf.LoadDecap()
	if err != nil {
		return nil, fmt.Errorf("read the object of the program that unpacks: %w", err)
	}
	var enum *btf.Enum
	if err := spec.Types.TypeByName("decap_reason", &enum); err != nil {
		return nil, fmt.Errorf("find enum decap_reason in BTF: %w", err)
	}
	names := make([]lb.Reason, bpf.DecapDecapReasonDECAP_REASONS)
	for _, v := range enum.Values {
		if v.Value < uint64(len(names)) {
			names[v.Value] = lb.Reason(strings.ToLower(strings.TrimPrefix(v.Name, "DECAP_")))
		}
	}
	return names, nil
}

// counters returns what was counted on all CPUs.
func counters(m *ebpf.Map) (map[lb.Reason]lb.Count, error) {
	names, err := Reasons()
	if err != nil {
		return nil, err
	}
	all := make(map[lb.Reason]lb.Count, len(names))
	for i, name := range names {
		var perCPU []bpf.DecapCount
		if err := m.Lookup(uint32(i), &perCPU); err != nil {
			return nil, fmt.Errorf("read counter %d of %v: %w", i, m, err)
		}
		var sum lb.Count
		for _, c := range perCPU {
			sum.Packets += c.Packets
			sum.Bytes += c.Bytes
		}
		all[name] = sum
	}
	return all, nil
}
