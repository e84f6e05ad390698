package bpf

import (
	"fmt"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// The names of what is enumerated in C, each at the place of its number, in lower case and without the prefix. They come from
// the BTF of the compiled objects: C is where they are written.
var (
	// Reasons are those of enum lb_reason: Reasons()[0] is "forwarded".
	Reasons = namesOf(LoadLb, "lb_reason", "LB_", uint64(LbLbReasonLB_REASONS))
	// DecapReasons are those of enum decap_reason.
	DecapReasons = namesOf(LoadDecap, "decap_reason", "DECAP_", uint64(DecapDecapReasonDECAP_REASONS))
	// LossCauses are those of enum loss_cause: LossCauses()[0] is "redirect".
	LossCauses = namesOf(LoadLosses, "loss_cause", "LOSS_", uint64(LossesLossCauseLOSS_CAUSES))
)

// namesOf reads n names of an enum of an object, once.
func namesOf(load func() (*ebpf.CollectionSpec, error), name, prefix string, n uint64) func() ([]string, error) {
	return sync.OnceValues(func() ([]string, error) {
		spec, err := load()
		if err != nil {
			return nil, fmt.Errorf("read the object with enum %s: %w", name, err)
		}
		var enum *btf.Enum
		if err := spec.Types.TypeByName(name, &enum); err != nil {
			return nil, fmt.Errorf("find enum %s in BTF: %w", name, err)
		}
		names := make([]string, n)
		for _, v := range enum.Values {
			if v.Value < n {
				names[v.Value] = strings.ToLower(strings.TrimPrefix(v.Name, prefix))
			}
		}
		return names, nil
	})
}
