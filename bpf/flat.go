package bpf

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// Flatten makes flat tables of those that bpf/src/maps.h marks so: maps of one value, which has all rows, and
// whose address the programs are given in the place of the map. MaxEntries is the number of rows before that, of indexes and records a
// power of two. Programs access their rows without look-ups, and check bounds that are constants, which are set here. In other objects than
// the datapath's there are none.
func Flatten(spec *ebpf.CollectionSpec) error {
	if spec.Maps[LbMapServices] == nil {
		return nil
	}
	for name, value := range bounds(spec) {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	for name, m := range spec.Maps {
		if IsFlat(m) {
			flatten(m)
			for _, p := range spec.Programs {
				takeAddress(p.Instructions, name)
			}
		}
	}
	return nil
}

// bounds are the constants that say how many rows there are.
func bounds(spec *ebpf.CollectionSpec) map[string]uint32 {
	last := func(table string) uint32 { return spec.Maps[table].MaxEntries - 1 }
	return map[string]uint32{
		LbVarServiceShift:    Shift(last(LbMapServiceIndex) + 1),
		LbVarRevNatShift:     Shift(last(LbMapRevNatIndex) + 1),
		LbVarServicesLast:    last(LbMapServices),
		LbVarSlotsLast:       last(LbMapSlotOwners)*OwnersLine + OwnersLine - 1,
		LbVarReplicasLast:    last(LbMapReplicas),
		LbVarEstablishedLast: last(LbMapEstablished),
		LbVarHalfOpenLast:    last(LbMapHalfOpen),
		LbVarFibCacheLast:    last(LbMapFibCache),
	}
}

// Shift returns by how many bits the hash of an endpoint is shifted, so that the number of one of so many buckets is left.
func Shift(buckets uint32) uint32 { return uint32(64 - bits.TrailingZeros32(buckets)) }

// IsFlat tells whether a table is to be flat.
func IsFlat(m *ebpf.MapSpec) bool { return slices.Contains(m.Tags, "flat") }

func flatten(m *ebpf.MapSpec) {
	if m.Value != nil {
		m.Value = &btf.Array{Index: &btf.Int{Name: "unsigned int", Size: 4}, Type: m.Value, Nelems: m.MaxEntries}
	}
	m.ValueSize, m.MaxEntries = m.ValueSize*m.MaxEntries, 1
}

func takeAddress(program asm.Instructions, of string) {
	for i := range program {
		if in := &program[i]; in.IsLoadFromMap() && in.Reference() == of {
			in.Src, in.Constant = asm.PseudoMapValue, 0
		}
	}
}

// Rows is how many rows of a size in bytes a table has, and whether it is flat. Of other sizes it has none.
func Rows(m *ebpf.Map, size uint32) (rows uint32, flat bool) {
	switch {
	case m.ValueSize() == size:
		return m.MaxEntries(), false
	case m.MaxEntries() == 1 && m.ValueSize()%size == 0:
		return m.ValueSize() / size, true
	}
	return 0, false
}
