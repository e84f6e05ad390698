package xdp

import (
	"errors"
	"fmt"

	"lbctl/bpf/load"
	"lbctl/lb"

	"github.com/cilium/ebpf"
)

// RequireKernel refuses a kernel that is too old. Errors: lb.ErrUnsupported.
func RequireKernel() error { return classify(load.Kernel()) }

// Load loads the maps and programs that the fields of to name. The error has a hint. Errors: lb.ErrConflict (pinned
// maps are of another size or layout), lb.ErrDenied, lb.ErrUnsupported.
func Load(spec *ebpf.CollectionSpec, to any, o *ebpf.CollectionOptions) error {
	return classify(load.Collection(spec, to, o))
}

// OpenMap makes a map, or opens it where it is pinned. Errors: as Load.
func OpenMap(spec *ebpf.MapSpec, o ebpf.MapOptions) (*ebpf.Map, error) {
	m, err := load.Map(spec, o)
	return m, classify(err)
}

// classify makes an error wrap what a caller may act on.
func classify(err error) error {
	var old *load.OldKernelError
	var of *load.Error
	switch {
	case errors.Is(err, ebpf.ErrMapIncompatible):
		return fmt.Errorf("%w: %w", lb.ErrConflict, err)
	case errors.As(err, &old), errors.As(err, &of) && of.Kind == load.Rejected:
		return fmt.Errorf("%w: %w", lb.ErrUnsupported, err)
	case of != nil && of.Kind == load.Denied:
		return fmt.Errorf("%w: %w", lb.ErrDenied, err)
	}
	return err
}
