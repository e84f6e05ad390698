package live

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"lbctl/testbed/xdp"
)

// counter counts the packets that a program sees: one number in a map. It needs no lock: one
// instance of each program runs at a time, on the generating thread or for the only
// receive queue of a veth.
type counter struct{ *ebpf.Map }

func newCounter() (counter, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "count", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		return counter{}, fmt.Errorf("make counter: %w", err)
	}
	return counter{m}, nil
}

// read returns how many packets there were.
func (c counter) read() (n uint64, err error) {
	if err := c.Lookup(uint32(0), &n); err != nil {
		return 0, fmt.Errorf("read counter: %w", err)
	}
	return n, nil
}

// add counts one packet. The number before is left in R2; R1 is overwritten.
func (c counter) add() asm.Instructions {
	return asm.Instructions{
		asm.LoadMapValue(asm.R1, c.FD(), 0),
		asm.LoadMem(asm.R2, asm.R1, 0, asm.DWord),
		asm.Mov.Reg(asm.R3, asm.R2),
		asm.Add.Imm(asm.R3, 1),
		asm.StoreMem(asm.R1, 0, asm.R3, asm.DWord),
	}
}

// A frame is stored and written in words that begin at its byte 6, so that no header field
// lies across two of them. A load across two recent stores waits until both have left the store buffer;
// a frame that came by DMA never causes that.
const (
	frameWords = 10
	frameSize  = 6 + 8*frameWords
	rowSize    = frameSize + 2
	// A frame ends with a mark, in the padding behind the IP packet. The sink counts only frames with the mark, not
	// those that the kernel sends by itself.
	mark   = 0x6b72616d
	markAt = frameSize - 4
)

// row is a frame as the map of frames holds it: its byte 6 first, its bytes 0 to 5 last.
func row(frame []byte) []byte {
	whole := make([]byte, frameSize)
	copy(whole, frame)
	binary.NativeEndian.PutUint32(whole[markAt:], mark)
	return append(append(whole[6:len(whole):len(whole)], whole[:6]...), 0, 0)
}

// generate is the program that writes the next of the frames over the packet that it is given,
// and sends that out of the interface.
func generate(frames *ebpf.Map, sent counter) asm.Instructions {
	const (
		begin = asm.R6
		from  = asm.R7
	)
	code := asm.Instructions{
		asm.LoadMem(begin, asm.R1, 0, asm.Word), // xdp_md.data
		asm.LoadMem(asm.R4, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R5, begin),
		asm.Add.Imm(asm.R5, frameSize),
		asm.JGT.Reg(asm.R5, asm.R4, "abort"),
	}
	code = append(code, sent.add()...)
	code = append(code,
		asm.And.Imm(asm.R2, int32(frames.MaxEntries()-1)),
		asm.StoreMem(asm.RFP, -4, asm.R2, asm.Word),
		asm.LoadMapPtr(asm.R1, frames.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "abort"),
		asm.Mov.Reg(from, asm.R0),
	)
	for i := range int16(frameWords) {
		code = append(code, move(begin, 6+8*i, from, 8*i, asm.DWord)...)
	}
	code = append(code, move(begin, 0, from, 8*frameWords, asm.Word)...)
	code = append(code, move(begin, 4, from, 8*frameWords+4, asm.Half)...)
	return append(code,
		asm.Mov.Imm(asm.R0, xdp.Tx),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdp.Aborted).WithSymbol("abort"),
		asm.Return(),
	)
}

// move copies from one place in memory to another by way of R1.
func move(to asm.Register, at int16, from asm.Register, offset int16, size asm.Size) asm.Instructions {
	return asm.Instructions{asm.LoadMem(asm.R1, from, offset, size), asm.StoreMem(to, at, asm.R1, size)}
}

// swallow drops everything, and counts the generator's frames.
func swallow(seen counter) asm.Instructions {
	code := asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word),
		asm.LoadMem(asm.R3, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, frameSize),
		asm.JGT.Reg(asm.R4, asm.R3, "drop"),
		asm.LoadMem(asm.R4, asm.R2, markAt, asm.Word),
		asm.JNE.Imm(asm.R4, mark, "drop"),
	}
	code = append(code, seen.add()...)
	return append(code, asm.Mov.Imm(asm.R0, xdp.Drop).WithSymbol("drop"), asm.Return())
}
