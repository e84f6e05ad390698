package datapath

import (
	"testing"

	"lbctl/bpf"
	"lbctl/lb"

	"github.com/google/go-cmp/cmp"
)

// The reasons of package lb are those of the kernel program.
func TestReasons(t *testing.T) {
	names, err := bpf.Reasons()
	if err != nil {
		t.Fatal(err)
	}
	kernel, reference := map[lb.Reason]bool{}, map[lb.Reason]bool{}
	for _, n := range names {
		kernel[lb.Reason(n)] = true
	}
	for _, r := range lb.Reasons() {
		reference[r] = true
	}
	if diff := cmp.Diff(kernel, reference); diff != "" {
		t.Error("enum lb_reason and package lb (-C +Go):", diff)
	}
}
