// Command asm writes the vector code of package rss, vector_amd64.s.
package main

import (
	"fmt"
	"os"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	text, err := generate()
	if err == nil {
		err = os.WriteFile("vector_amd64.s", text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "asm:", err)
		os.Exit(1)
	}
}

// generate returns the assembly text.
func generate() ([]byte, error) {
	w := writer{build.NewContext()}
	w.ipv4()
	w.ipv6()
	file, err := w.Result()
	if err != nil {
		return nil, err
	}
	if err := pass.Compile.Execute(file); err != nil {
		return nil, err
	}
	return printer.NewGoAsm(printer.Config{Name: "rss/asm", Pkg: "rss"}).Print(file)
}

// Where the fields of rss.vector are, in bytes. A test of package rss holds them against it.
const (
	words     = 0
	halves    = 768
	ports     = 1792
	transpose = 2048
	scatter   = 2112
	size      = 64 // of a vector
)

// Each step hashes 16 flows. Of each of their 4 bytes there is a vector with what is to be summed.
type four [4]reg.VecPhysical

type writer struct{ *build.Context }

// arguments are those of both functions, in registers.
type arguments struct {
	constants, gather, hashes, sources, destinations, ports, steps, portBytes reg.Register
}

func (w writer) begin(name, doc, addresses string) arguments {
	w.Function(name)
	w.Attributes(attr.NOSPLIT)
	w.SignatureExpr(fmt.Sprintf("func(v *byte, gather *[64]uint8, hashes *uint32, sources, destinations *%s, ports *uint32, steps, portBytes int)", addresses))
	w.Doc(doc)
	load := func(name string) reg.Register { return w.Load(w.Param(name), w.GP64()) }
	return arguments{
		load("v"), load("gather"), load("hashes"), load("sources"), load("destinations"), load("ports"), load("steps"), load("portBytes"),
	}
}

// end goes on with the next step, if there is one.
func (w writer) end(a arguments, addressBytes int32) {
	w.ADDQ(operand.I32(size), a.hashes)
	w.ADDQ(operand.I32(addressBytes), a.sources)
	w.ADDQ(operand.I32(addressBytes), a.destinations)
	w.ADDQ(a.portBytes, a.ports)
	w.DECQ(a.steps)
	w.JNZ(operand.LabelRef("step"))
	w.VZEROUPPER()
	w.RET()
}

func at(base reg.Register, offset int) operand.Mem { return operand.Mem{Base: base, Disp: offset} }

// multiply multiplies each group of 8 bytes of x by its own matrix. The library has no such instruction yet.
func (w writer) multiply(matrices operand.Op, x, to reg.VecPhysical) {
	w.Instruction(&ir.Instruction{
		Opcode: "VGF2P8AFFINEQB", Operands: []operand.Op{operand.U8(0), matrices, x, to},
		Inputs: []operand.Op{matrices, x}, Outputs: []operand.Op{to}, ISA: []string{"AVX512F", "GFNI"},
	})
}

// sum3 adds two vectors to a third.
func (w writer) sum3(a, b, to reg.VecPhysical) { w.VPTERNLOGQ(operand.U8(0x96), a, b, to) }

// finish sums what is left of the 4 bytes of 16 hashes and puts the bytes together. The vectors have 4 qwords for flows 0 to 7
// and 4 for flows 8 to 15.
func (w writer) finish(h four, spare reg.VecPhysical, order reg.VecPhysical, hashes reg.Register) {
	for _, pair := range [][2]reg.VecPhysical{{h[0], h[1]}, {h[2], h[3]}} {
		w.VSHUFI64X2(operand.U8(0x88), pair[1], pair[0], spare)   // lanes 0 and 2 of both
		w.VSHUFI64X2(operand.U8(0xdd), pair[1], pair[0], pair[0]) // 1 and 3
		w.VPXORQ(spare, pair[0], pair[0])
	}
	w.VPUNPCKLQDQ(h[2], h[0], spare)
	w.VPUNPCKHQDQ(h[2], h[0], h[0])
	w.VPXORQ(spare, h[0], h[0])
	w.VPERMB(h[0], order, h[0])
	w.VMOVDQU64(h[0], at(hashes, 0))
}

// ipv4 hashes 32-bit words: each of the three of a flow adds the product of its bytes with their matrices.
func (w writer) ipv4() {
	a := w.begin("stepsIPv4", "stepsIPv4 hashes 16 flows of IPv4 in each step.", "uint32")
	gather, order := reg.Z8, reg.Z9
	var matrices [3]four
	for place := range matrices {
		for out := range matrices[place] {
			matrices[place][out] = z(16 + 4*place + out)
			w.VMOVDQU64(at(a.constants, words+(4*place+out)*size), matrices[place][out])
		}
	}
	w.VMOVDQU64(at(a.gather, 0), gather)
	w.VMOVDQU64(at(a.constants, scatter), order)
	w.Label("step")
	in := [3]reg.VecPhysical{reg.Z0, reg.Z1, reg.Z2}
	for i, from := range []reg.Register{a.sources, a.destinations, a.ports} {
		w.VPERMB(at(from, 0), gather, in[i])
	}
	h := four{reg.Z4, reg.Z5, reg.Z6, reg.Z7}
	for out := range h {
		second, third := z(10+2*(out%2)), z(11+2*(out%2))
		w.multiply(matrices[0][out], in[0], h[out])
		w.multiply(matrices[1][out], in[1], second)
		w.multiply(matrices[2][out], in[2], third)
		w.sum3(second, third, h[out])
	}
	w.finish(h, reg.Z14, order, a.hashes)
	w.end(a, size)
}

// ipv6 hashes the addresses of flows 0 to 7, those of 8 to 15, then the ports of all.
func (w writer) ipv6() {
	a := w.begin("stepsIPv6", "stepsIPv6 hashes 16 flows of IPv6 in each step.", "[16]byte")
	var matrices [4]four
	for place := range matrices {
		for out := range matrices[place] {
			matrices[place][out] = z(16 + 4*place + out)
			w.VMOVDQU64(at(a.constants, halves+(4*place+out)*size), matrices[place][out])
		}
	}
	order, spare := reg.Z14, [2]reg.VecPhysical{reg.Z12, reg.Z13}
	w.VMOVDQU64(at(a.constants, transpose), order)
	w.Label("step")
	h, second := four{reg.Z4, reg.Z5, reg.Z6, reg.Z7}, four{reg.Z8, reg.Z9, reg.Z10, reg.Z11}
	for half, to := range []four{h, second} {
		in := four{reg.Z0, reg.Z1, reg.Z2, reg.Z3}
		for i, from := range []reg.Register{a.sources, a.destinations} {
			w.addresses(at(from, 2*half*size), at(from, (2*half+1)*size), in[2*i], in[2*i+1], spare[i], order)
		}
		for out := range to {
			w.multiply(matrices[0][out], in[0], to[out])
			w.multiply(matrices[1][out], in[1], spare[0])
			w.multiply(matrices[2][out], in[2], spare[1])
			w.sum3(spare[0], spare[1], to[out])
		}
		for out := range to {
			w.multiply(matrices[3][out], in[3], spare[out%2])
			w.VPXORQ(spare[out%2], to[out], to[out])
		}
	}
	port := reg.Z0
	w.VMOVDQU64(at(a.gather, 0), port)
	w.VPERMB(at(a.ports, 0), port, port)
	for out := range h {
		product, low := z(1+2*(out%2)), z(2+2*(out%2))
		if out%2 == 1 {
			product, low = reg.Z12, reg.Z13
		}
		w.multiply(at(a.constants, ports+out*size), port, product)
		w.VSHUFI64X2(operand.U8(0x44), second[out], h[out], low)
		w.VSHUFI64X2(operand.U8(0xee), second[out], h[out], h[out])
		w.sum3(product, low, h[out])
	}
	w.VMOVDQU64(at(a.constants, scatter), reg.Z15)
	w.finish(h, reg.Z0, reg.Z15, a.hashes)
	w.end(a, 4*size)
}

// addresses loads 8 addresses as the qwords of their bytes 0 to 7 and 8 to 15.
func (w writer) addresses(first, second operand.Mem, low, high, spare, order reg.VecPhysical) {
	w.VMOVDQU64(first, spare)
	w.VPUNPCKLQDQ(second, spare, low)
	w.VPUNPCKHQDQ(second, spare, high)
	w.VPERMB(low, order, low)
	w.VPERMB(high, order, high)
}

// z returns one of the 32 registers.
func z(i int) reg.VecPhysical {
	return []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}[i]
}
