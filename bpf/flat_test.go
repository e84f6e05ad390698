package bpf

import (
	"math"
	"testing"

	"github.com/cilium/ebpf"
)

// Every operand is used, and after Flatten none is left: a bound that no row is behind would be one for all rows.
func TestOperands(t *testing.T) {
	spec, err := LoadLb()
	if err != nil {
		t.Fatal(err)
	}
	every := operands(spec)
	for operand := range every {
		if uses(spec, operand) == 0 {
			t.Errorf("no instruction has operand %#x", operand)
		}
	}
	if err := Flatten(spec); err != nil {
		t.Fatal(err)
	}
	for operand := range every {
		if n := uses(spec, operand); n > 0 {
			t.Errorf("%d instructions still have operand %#x", n, operand)
		}
	}
}

// uses counts the instructions with an operand.
func uses(spec *ebpf.CollectionSpec, operand LbOperand) (n int) {
	for _, p := range spec.Programs {
		for _, in := range p.Instructions {
			if in.Constant == int64(operand) {
				n++
			}
		}
	}
	return n
}

// More rows than an operand can say are refused.
func TestOperandTooLarge(t *testing.T) {
	spec, err := LoadLb()
	if err != nil {
		t.Fatal(err)
	}
	spec.Maps[LbMapServices].MaxEntries = math.MaxUint32
	if err := Flatten(spec); err == nil {
		t.Error("2^32 - 1 services are taken")
	}
}
