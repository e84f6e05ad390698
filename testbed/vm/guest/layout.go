package guest

import (
	"fmt"

	"github.com/cilium/ebpf/btf"
)

// Layout knows how the structs of the running kernel and of its modules are laid out, from its type information. The
// zero value is not usable: see NewLayout.
type Layout struct{ cache *btf.Cache }

// NewLayout returns a layout that has read nothing yet. Reading takes an emulated processor about a second.
func NewLayout() Layout { return Layout{btf.NewCache()} }

// Size returns the size of a struct of the kernel in bytes.
func (l Layout) Size(name string) (uint32, error) {
	s, err := l.find("", name)
	if err != nil {
		return 0, err
	}
	return s.Size, nil
}

// Offset returns where a field of a struct begins, in bytes; more fields are those of the struct that the one before is.
// The struct is that of a module, of the kernel if module is empty.
func (l Layout) Offset(module, name string, fields ...string) (bytes uint32, err error) {
	s, err := l.find(module, name)
	if err != nil {
		return 0, err
	}
	for n, field := range fields {
		at, of, ok := member(s.Members, field)
		if !ok {
			return 0, fmt.Errorf("find field %s of struct %s: this kernel's has none", field, name)
		}
		bytes += at
		if n == len(fields)-1 {
			break
		}
		if s, ok = btf.UnderlyingType(of).(*btf.Struct); !ok {
			return 0, fmt.Errorf("find field %s of struct %s: %s is no struct", fields[n+1], name, field)
		}
	}
	return bytes, nil
}

// member finds a field, also in a struct or union without a name, and returns its offset and type.
func member(all []btf.Member, name string) (offset uint32, of btf.Type, ok bool) {
	for _, m := range all {
		if m.Name == name {
			return m.Offset.Bytes(), m.Type, true
		}
		var inner []btf.Member
		switch t := m.Type.(type) {
		case *btf.Struct:
			inner = t.Members
		case *btf.Union:
			inner = t.Members
		}
		if m.Name == "" {
			if at, of, ok := member(inner, name); ok {
				return m.Offset.Bytes() + at, of, true
			}
		}
	}
	return 0, nil, false
}

func (l Layout) find(module, name string) (s *btf.Struct, err error) {
	spec, err := l.cache.Kernel()
	if module != "" && err == nil {
		spec, err = l.cache.Module(module)
	}
	if err == nil {
		err = spec.TypeByName(name, &s)
	}
	if err != nil {
		return nil, fmt.Errorf("find struct %s: %w", name, err)
	}
	return s, nil
}
