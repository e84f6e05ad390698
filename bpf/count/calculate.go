package count

import (
	"errors"
	"math/bits"

	"github.com/cilium/ebpf/asm"
)

// operand returns the second operand of an instruction.
func operand(i asm.Instruction, r *[11]uint64) uint64 {
	if i.OpCode.Source() == asm.RegSource {
		return r[i.Src]
	}
	return uint64(i.Constant)
}

// calculate runs an instruction of arithmetic.
func calculate(i asm.Instruction, r *[11]uint64) error {
	a, b := r[i.Dst], operand(i, r)
	narrow := i.OpCode.Class() == asm.ALUClass
	if i.OpCode.ALUOp() == asm.Swap {
		r[i.Dst] = swap(a, i)
		return nil
	}
	width := uint64(63)
	if narrow {
		a, b, width = uint64(uint32(a)), uint64(uint32(b)), 31
	}
	result, err := apply(i.OpCode.ALUOp(), a, b, width)
	if narrow {
		result = uint64(uint32(result))
	}
	r[i.Dst] = result
	return err
}

func apply(op asm.ALUOp, a, b, width uint64) (uint64, error) {
	switch op {
	case asm.Add:
		return a + b, nil
	case asm.Sub:
		return a - b, nil
	case asm.Mul:
		return a * b, nil
	case asm.Mod:
		if b == 0 {
			return a, nil
		}
		return a % b, nil
	case asm.Or:
		return a | b, nil
	case asm.And:
		return a & b, nil
	case asm.Xor:
		return a ^ b, nil
	case asm.LSh:
		return a << (b & width), nil
	case asm.RSh:
		return a >> (b & width), nil
	case asm.Neg:
		return -a, nil
	case asm.Mov:
		return b, nil
	}
	return 0, errors.New("an operation that is not known")
}

// swap turns so many bits of a number from or to network byte order.
func swap(a uint64, i asm.Instruction) uint64 {
	if i.OpCode.Endianness() == asm.LE {
		return a & (1<<i.Constant - 1)
	}
	return bits.ReverseBytes64(a) >> (64 - i.Constant)
}

// jumps tells whether a jump is taken.
func jumps(i asm.Instruction, r *[11]uint64) bool {
	a, b := r[i.Dst], operand(i, r)
	signedA, signedB := int64(a), int64(b)
	if i.OpCode.Class() == asm.Jump32Class {
		a, b = uint64(uint32(a)), uint64(uint32(b))
		signedA, signedB = int64(int32(a)), int64(int32(b))
	}
	switch i.OpCode.JumpOp() {
	case asm.Ja:
		return true
	case asm.JEq:
		return a == b
	case asm.JNE:
		return a != b
	case asm.JGT:
		return a > b
	case asm.JGE:
		return a >= b
	case asm.JLT:
		return a < b
	case asm.JLE:
		return a <= b
	case asm.JSet:
		return a&b != 0
	case asm.JSGT:
		return signedA > signedB
	case asm.JSGE:
		return signedA >= signedB
	case asm.JSLT:
		return signedA < signedB
	}
	return signedA <= signedB
}
