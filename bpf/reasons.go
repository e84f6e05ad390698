package bpf

import (
	"fmt"
	"strings"
	"sync"

	"github.com/cilium/ebpf/btf"
)

// Reasons returns the names of enum lb_reason in the order of their numbers, in
// lower case and without the prefix: Reasons()[0] is "forwarded". They come from
// the BTF of the compiled object: C is where they are written.
var Reasons = sync.OnceValues(readReasons)

func readReasons() ([]string, error) {
	spec, err := LoadLb()
	if err != nil {
		return nil, err
	}
	var enum *btf.Enum
	if err := spec.Types.TypeByName("lb_reason", &enum); err != nil {
		return nil, fmt.Errorf("find enum lb_reason in BTF: %w", err)
	}
	names := make([]string, LbLbReasonLB_REASONS)
	for _, v := range enum.Values {
		if v.Value < uint64(len(names)) {
			names[v.Value] = strings.ToLower(strings.TrimPrefix(v.Name, "LB_"))
		}
	}
	return names, nil
}
