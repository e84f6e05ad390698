package guest

import (
	"fmt"
	"slices"

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
		i := slices.IndexFunc(s.Members, func(m btf.Member) bool { return m.Name == field })
		if i < 0 {
			return 0, fmt.Errorf("find field %s of struct %s: this kernel's has none", field, s.Name)
		}
		bytes += s.Members[i].Offset.Bytes()
		if n == len(fields)-1 {
			break
		}
		inner, ok := btf.UnderlyingType(s.Members[i].Type).(*btf.Struct)
		if !ok {
			return 0, fmt.Errorf("find field %s of struct %s: it is no struct", fields[n+1], field)
		}
		s = inner
	}
	return bytes, nil
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
