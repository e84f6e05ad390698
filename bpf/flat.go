package bpf

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// Flatten makes flat tables of those that bpf/src/maps.h marks so: maps of one value, which has all rows, and
// whose address the programs are given in the place of the map. MaxEntries is the number of rows before that, of indexes and records a
// power of two. Programs access their rows without look-ups, and compare numbers of rows with operands that are put in here. In other objects than
// the datapath's there are none.
func Flatten(spec *ebpf.CollectionSpec) error {
	if spec.Maps[LbMapServices] == nil {
		return nil
	}
	values := operands(spec)
	for operand, value := range values {
		if value > math.MaxInt32 {
			return fmt.Errorf("operand %#x of the datapath is %d: an instruction has room for %d", operand, value, math.MaxInt32)
		}
	}
	for _, p := range spec.Programs {
		putOperands(p.Instructions, values)
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

// operands are those of bpf/src/maps.h, and what stands in their place.
func operands(spec *ebpf.CollectionSpec) map[LbOperand]uint32 {
	last := func(table string) uint32 { return spec.Maps[table].MaxEntries - 1 }
	return map[LbOperand]uint32{
		LbOperandSERVICE_SHIFT:    Shift(last(LbMapServiceIndex) + 1),
		LbOperandREV_NAT_SHIFT:    Shift(last(LbMapRevNatIndex) + 1),
		LbOperandSERVICES_LAST:    last(LbMapServices),
		LbOperandSLOTS_LAST:       last(LbMapSlotOwners)*OwnersLine + OwnersLine - 1,
		LbOperandREPLICAS_LAST:    last(LbMapReplicas),
		LbOperandESTABLISHED_LAST: last(LbMapEstablished),
		LbOperandHALF_OPEN_LAST:   last(LbMapHalfOpen),
		LbOperandFIB_CACHE_LAST:   last(LbMapFibCache),
	}
}

// putOperands puts them in the place of those of the compiled program.
func putOperands(program asm.Instructions, values map[LbOperand]uint32) {
	for i := range program {
		in := &program[i]
		if in.Constant < 0 || in.Constant > math.MaxInt32 || in.IsLoadFromMap() {
			continue
		}
		if value, is := values[LbOperand(in.Constant)]; is {
			in.Constant = int64(value)
		}
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
