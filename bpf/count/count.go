// Package count runs a program in user space, as the kernel has it after the verifier, to count the instructions that a packet
// takes: on a busy machine, where nothing can be timed, and to the last one.
//
// It knows what a program of ours does with packets that are sent on by the interface that they came by: loads, stores, arithmetic,
// jumps, calls of functions, and look-ups in arrays, which the kernel has put in the place of calls. It changes no table. Other
// calls of the kernel it refuses: kernels differ in what they have instructions for.
package count

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Counted is what a run has taken.
type Counted struct {
	// Verdict is the XDP action, Frame what has become of the frame.
	Verdict uint32
	Frame   []byte
	// Instructions are all; Loads and Stores those of them that access memory, and Stack those of these that access the stack.
	Instructions, Loads, Stores, Stack int
}

// Where things are in the machine's memory.
const (
	contextAt = 1 << 32
	queueAt   = contextAt + 1<<12
	deviceAt  = queueAt + 1<<12
	frameAt   = 2 << 32
	stackAt   = 3 << 32 // of the outermost function; those below have theirs behind it
	perCPUAt  = 1 << 62
	tablesAt  = 1 << 40 // each table from its id times that on
	frames    = 1 << 10 // between the stacks of functions
)

// What of struct xdp_buff the kernel's accesses of the context become.
const dataField, dataEndField, queueField = 0, 8, 32

type machine struct {
	code    map[int]asm.Instruction // by their places, of which a wide one takes two
	memory  map[uint64]byte         // what was written
	tables  map[uint64]*table
	frame   []byte
	ingress uint32
	// header is where in a table its rows begin, in bytes.
	header uint64
	depth  uint64
	Counted
}

type table struct {
	*ebpf.MapInfo
	*ebpf.Map
	rows map[uint32][]byte
}

// Run runs a program with a frame that comes from an interface. The caller may read the kernel's programs and open tables by id.
func Run(p *ebpf.Program, frame []byte, ingress int) (Counted, error) {
	m := &machine{memory: map[uint64]byte{}, tables: map[uint64]*table{}, frame: frame, ingress: uint32(ingress)}
	defer m.close()
	info, err := p.Info()
	if err != nil {
		return Counted{}, err
	}
	all, err := info.Instructions()
	if err != nil {
		return Counted{}, err
	}
	m.code = map[int]asm.Instruction{}
	for at, it := 0, all.Iterate(); it.Next(); at++ {
		m.code[int(it.Offset)] = *it.Ins
	}
	if err := m.findHeader(all); err != nil {
		return Counted{}, err
	}
	verdict, err := m.call(0, [6]uint64{1: contextAt})
	m.Verdict = uint32(verdict)
	for at := range frame {
		b, _ := m.load(frameAt+uint64(at), 1) // it is there
		m.Frame = append(m.Frame, byte(b))
	}
	return m.Counted, err
}

// ErrCall says that a program calls the kernel for something that others have instructions for, or that is not known here.
var ErrCall = errors.New("a call of the kernel")

// findHeader reads where rows begin from the first look-up in an array: the kernel adds that to the table's address.
func (m *machine) findHeader(all asm.Instructions) error {
	for i := 1; i < len(all); i++ {
		if all[i-1].IsLoadFromMap() && all[i-1].Src == asm.PseudoMapFD && all[i].OpCode == asm.Add.Op(asm.ImmSource) && all[i].Dst == all[i-1].Dst {
			m.header = uint64(all[i].Constant)
			return nil
		}
	}
	return errors.New("no look-up in an array")
}

func (m *machine) close() {
	for _, t := range m.tables {
		t.Map.Close()
	}
}

// steps is a bound: what our programs take is a few thousand.
const steps = 1 << 20

// call runs a function until it returns.
func (m *machine) call(at int, arguments [6]uint64) (uint64, error) {
	var r [11]uint64
	copy(r[:], arguments[:])
	r[10] = stackAt + m.depth*frames + frames/2
	m.depth++
	defer func() { m.depth-- }()
	for {
		i, there := m.code[at]
		if m.Instructions++; !there || m.Instructions > steps {
			return 0, fmt.Errorf("instruction %d after %d", at, m.Instructions)
		}
		at++
		if i.OpCode.IsDWordLoad() {
			at++
		}
		if i.OpCode == asm.Exit.Op(asm.ImmSource) {
			return r[0], nil
		}
		jump, err := m.step(i, at, &r)
		if err != nil {
			return 0, fmt.Errorf("instruction %d, %v: %w", at-1, i, err)
		}
		at += jump
	}
}

// step runs one instruction, and returns how many are left out then.
func (m *machine) step(i asm.Instruction, next int, r *[11]uint64) (jump int, err error) {
	switch class := i.OpCode.Class(); {
	case class == asm.LdClass:
		r[i.Dst], err = wide(i)
	case class == asm.LdXClass:
		m.touched(&m.Loads, r[i.Src]+uint64(i.Offset))
		r[i.Dst], err = m.load(r[i.Src]+uint64(i.Offset), i.OpCode.Size().Sizeof())
	case class == asm.StXClass || class == asm.StClass:
		value := r[i.Src]
		if class == asm.StClass {
			value = uint64(i.Constant)
		}
		if i.OpCode.Mode() != asm.MemMode {
			return 0, errors.New("an atomic access")
		}
		m.touched(&m.Stores, r[i.Dst]+uint64(i.Offset))
		m.store(r[i.Dst]+uint64(i.Offset), i.OpCode.Size().Sizeof(), value)
	case i.OpCode.JumpOp() == asm.Call && class.IsJump():
		if i.Src != asm.PseudoCall {
			return 0, ErrCall
		}
		r[0], err = m.call(next+int(i.Offset), [6]uint64(r[:6]))
	case class.IsJump():
		if jumps(i, r) {
			jump = int(i.Offset)
		}
	default:
		err = calculate(i, r)
	}
	return jump, err
}

func (m *machine) touched(kind *int, at uint64) {
	*kind++
	if at>>32 == stackAt>>32 {
		m.Stack++
	}
}

// wide returns what a wide load loads: a number, or the place of a table or of a row of it.
func wide(i asm.Instruction) (uint64, error) {
	id, offset := uint64(uint32(i.Constant)), uint64(i.Constant)>>32
	switch i.Src {
	case 0:
		return uint64(i.Constant), nil
	case asm.PseudoMapFD:
		return tablesAt * id, nil
	case asm.PseudoMapValue:
		return tablesAt*id + 1<<39 + offset, nil
	}
	return 0, errors.New("what it loads is not known")
}

func (m *machine) store(at uint64, bytes int, value uint64) {
	for n := range bytes {
		m.memory[at+uint64(n)] = byte(value >> (8 * n))
	}
}

func (m *machine) load(at uint64, bytes int) (value uint64, err error) {
	var b [8]byte
	for n := range bytes {
		if written, is := m.memory[at+uint64(n)]; is {
			b[n] = written
		} else if b[n], err = m.initial(at + uint64(n)); err != nil {
			return 0, err
		}
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// initial returns a byte that nobody has written.
func (m *machine) initial(at uint64) (byte, error) {
	word := func(value, from uint64) byte { return byte(value >> (8 * (at - from))) }
	switch {
	case at >= perCPUAt || at>>32 == stackAt>>32:
		return 0, nil
	case at >= tablesAt:
		return m.row(at)
	case at >= frameAt && at < frameAt+uint64(len(m.frame)):
		return m.frame[at-frameAt], nil
	case at >= deviceAt && at < deviceAt+1<<12:
		return word(uint64(m.ingress), at&^3), nil
	case at >= queueAt && at < deviceAt:
		return word(deviceAt, at&^7), nil
	case at >= contextAt+dataField && at < contextAt+dataField+8:
		return word(frameAt, contextAt+dataField), nil
	case at >= contextAt+dataEndField && at < contextAt+dataEndField+8:
		return word(frameAt+uint64(len(m.frame)), contextAt+dataEndField), nil
	case at >= contextAt+queueField && at < contextAt+queueField+8:
		return word(queueAt, contextAt+queueField), nil
	}
	return 0, fmt.Errorf("there is nothing at %#x", at)
}

// row returns a byte of a table. Those that CPUs have each for themselves have pointers; what is there is 0.
func (m *machine) row(at uint64) (byte, error) {
	t, err := m.table(at / tablesAt)
	if err != nil {
		return 0, err
	}
	offset := at % tablesAt
	if offset >= 1<<39 {
		offset -= 1 << 39
	} else {
		offset -= m.header
	}
	if t.MapInfo.Type == ebpf.PerCPUArray {
		return byte((perCPUAt + at%tablesAt&^7*64) >> (8 * (at % 8))), nil
	}
	stride := uint64(t.MapInfo.ValueSize+7) &^ 7
	key := uint32(offset / stride)
	row, known := t.rows[key]
	if !known {
		row = make([]byte, stride)
		if err := t.Lookup(key, row[:t.MapInfo.ValueSize]); err != nil {
			return 0, fmt.Errorf("row %d of %s: %w", key, t.MapInfo.Name, err)
		}
		t.rows[key] = row
	}
	return row[offset%stride], nil
}

func (m *machine) table(id uint64) (*table, error) {
	if t := m.tables[id]; t != nil {
		return t, nil
	}
	is, err := ebpf.NewMapFromID(ebpf.MapID(id))
	if err != nil {
		return nil, fmt.Errorf("table %d: %w", id, err)
	}
	info, err := is.Info()
	if err != nil {
		return nil, errors.Join(err, is.Close())
	}
	m.tables[id] = &table{info, is, map[uint32][]byte{}}
	return m.tables[id], nil
}
