// Package load brings programs and tables into the kernel. It refuses a kernel that is too old before anything is
// changed, and of an error it says in one line what happened and in another what helps: the library's own words name
// the wrong cause where a descriptor, memory or a privilege is missing, because the probes by which it looks for a
// missing feature fail for the same reason.
package load

import (
	"errors"

	"github.com/cilium/ebpf"
)

// Collection loads the maps and programs that the fields of to name. It returns ebpf.ErrMapIncompatible as it is.
// Errors: *OldKernelError, *Error.
func Collection(spec *ebpf.CollectionSpec, to any, o *ebpf.CollectionOptions) error {
	return attempt(len(spec.Maps)+len(spec.Programs), func() error { return spec.LoadAndAssign(to, o) })
}

// All loads all maps and programs. Errors: as Collection.
func All(spec *ebpf.CollectionSpec) (all *ebpf.Collection, err error) {
	err = attempt(len(spec.Maps)+len(spec.Programs), func() error {
		all, err = ebpf.NewCollection(spec)
		return err
	})
	return all, err
}

// Map makes or opens a map. Errors: *OldKernelError, *Error.
func Map(spec *ebpf.MapSpec, o ebpf.MapOptions) (m *ebpf.Map, err error) {
	err = attempt(1, func() error {
		m, err = ebpf.NewMapWithOptions(spec, o)
		return err
	})
	return m, err
}

// spare are the descriptors that loading opens and closes again, for type information and the library's probes.
const spare = 8

// rehearse makes a small table that no kernel lacks a feature for. So what is denied is denied here, by its own name, and
// before a probe of the library fails for it: that would be remembered as a missing feature as long as the process lives.
func rehearse() error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "rehearsal", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return explain(err)
	}
	return m.Close()
}

// attempt loads objects, which become as many descriptors.
func attempt(objects int, load func() error) error {
	if err := Kernel(); err != nil {
		return err
	}
	if err := descriptors(objects + spare); err != nil {
		return err
	}
	if err := rehearse(); err != nil {
		return err
	}
	err := load()
	if errors.Is(err, ebpf.ErrMapIncompatible) {
		return err
	}
	return explain(err)
}
