package rig_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"lbctl/rss"
	"lbctl/rss/packet"
	"lbctl/rss/verify"
	"lbctl/testbed/netns"
)

// witness is an XDP program that passes everything and notes, for each IPv4 packet,
// its receive queue, its core and its flow.
type witness struct{ seen *ebpf.Map }

// sighting is a key of the witness's map: where packets of a flow were seen.
type sighting struct {
	flow  packet.Flow
	queue rss.Queue
	core  int
}

// keySize is that of the key on the program's stack: queue, core, addresses, ports (as in the packet), protocol.
const keySize = 24

// newWitness attaches one, natively, until the test ends.
func newWitness(tb testing.TB, l netns.Link) witness {
	tb.Helper()
	seen, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: keySize, ValueSize: 8, MaxEntries: 1 << 16})
	check(tb, err)
	tb.Cleanup(func() { _ = seen.Close() })
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "witness", Type: ebpf.XDP, License: "MIT", Instructions: witnessProgram(seen.FD()),
	})
	check(tb, err)
	tb.Cleanup(func() { _ = program.Close() })
	var attached link.Link
	check(tb, l.Namespace().Do(func() error {
		attached, err = link.AttachXDP(link.XDPOptions{Program: program, Interface: l.Index, Flags: link.XDPDriverMode})
		return err
	}))
	tb.Cleanup(func() { _ = attached.Close() })
	return witness{seen}
}

// witnessProgram is in assembler so that the test needs no compiler.
func witnessProgram(seen int) asm.Instructions {
	const key, one = -keySize, -keySize - 8
	return asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R7, asm.R6, 0, asm.Word), // data
		asm.LoadMem(asm.R8, asm.R6, 4, asm.Word), // data_end
		asm.Mov.Reg(asm.R0, asm.R7),
		asm.Add.Imm(asm.R0, 14+20+4),
		asm.JGT.Reg(asm.R0, asm.R8, "pass"),
		asm.LoadMem(asm.R0, asm.R7, 12, asm.Byte),
		asm.JNE.Imm(asm.R0, 0x08, "pass"), // EtherType 0x0800
		asm.LoadMem(asm.R0, asm.R7, 13, asm.Byte),
		asm.JNE.Imm(asm.R0, 0x00, "pass"),
		asm.LoadMem(asm.R0, asm.R6, 16, asm.Word), // rx_queue_index
		asm.StoreMem(asm.RFP, key, asm.R0, asm.Word),
		asm.FnGetSmpProcessorId.Call(),
		asm.StoreMem(asm.RFP, key+4, asm.R0, asm.Word),
		asm.LoadMem(asm.R0, asm.R7, 14+12, asm.Word), // source address
		asm.StoreMem(asm.RFP, key+8, asm.R0, asm.Word),
		asm.LoadMem(asm.R0, asm.R7, 14+16, asm.Word), // destination address
		asm.StoreMem(asm.RFP, key+12, asm.R0, asm.Word),
		asm.LoadMem(asm.R0, asm.R7, 14+20, asm.Word), // ports
		asm.StoreMem(asm.RFP, key+16, asm.R0, asm.Word),
		asm.LoadMem(asm.R0, asm.R7, 14+9, asm.Byte), // protocol
		asm.StoreMem(asm.RFP, key+20, asm.R0, asm.Word),
		asm.LoadMapPtr(asm.R1, seen),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, key),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "first"),
		asm.Mov.Imm(asm.R1, 1),
		asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
		asm.Ja.Label("pass"),
		asm.Mov.Imm(asm.R1, 1).WithSymbol("first"),
		asm.StoreMem(asm.RFP, one, asm.R1, asm.DWord),
		asm.LoadMapPtr(asm.R1, seen),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, key),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, one),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnMapUpdateElem.Call(),
		asm.Mov.Imm(asm.R0, 2).WithSymbol("pass"), // XDP_PASS
		asm.Return(),
	}
}

// sightings returns the packets seen, by flow, queue and core.
func (w witness) sightings(tb testing.TB) map[sighting]uint64 {
	tb.Helper()
	all := map[sighting]uint64{}
	var key [keySize]byte
	var packets uint64
	entries := w.seen.Iterate()
	for entries.Next(&key, &packets) {
		all[sighting{
			flow: packet.Flow{
				Source:      netip.AddrPortFrom(netip.AddrFrom4([4]byte(key[8:])), binary.BigEndian.Uint16(key[16:])),
				Destination: netip.AddrPortFrom(netip.AddrFrom4([4]byte(key[12:])), binary.BigEndian.Uint16(key[18:])),
				Protocol:    packet.Protocol(key[20]),
			},
			queue: rss.Queue(binary.NativeEndian.Uint32(key[0:])),
			core:  int(binary.NativeEndian.Uint32(key[4:])),
		}] += packets
	}
	check(tb, entries.Err())
	return all
}

// kinds are frames of each class that the verifier tells apart, of random flows.
func kinds(random *rand.Rand) map[verify.Class][]byte {
	four := func(p packet.Protocol) packet.Flow { return flowOf(random, p, true) }
	six := func(p packet.Protocol) packet.Flow { return flowOf(random, p, false) }
	other := four(packet.ICMP)
	other.Source, other.Destination = netip.AddrPortFrom(other.Source.Addr(), 0), netip.AddrPortFrom(other.Destination.Addr(), 0)
	payload := make([]byte, 16)
	later := four(packet.UDP)
	arp := make([]byte, 60)
	arp[12], arp[13] = 0x08, 0x06
	return map[verify.Class][]byte{
		verify.TCP4:          packet.Frame{Flow: four(packet.TCP)}.Marshal(),
		verify.UDP4:          packet.Frame{Flow: four(packet.UDP), Payload: payload}.Marshal(),
		verify.TCP6:          packet.Frame{Flow: six(packet.TCP)}.Marshal(),
		verify.UDP6:          packet.Frame{Flow: six(packet.UDP), Payload: payload}.Marshal(),
		verify.OtherIP:       packet.Frame{Flow: other, Payload: payload}.Marshal(),
		verify.FragmentFirst: packet.Frame{Flow: four(packet.UDP), Fragment: &packet.Fragment{More: true}, Payload: payload}.Marshal(),
		verify.FragmentLater: packet.Frame{Flow: later, Fragment: &packet.Fragment{Offset: 16}, Payload: payload}.Marshal(),
		verify.Options:       packet.Frame{Flow: four(packet.TCP), Options: []byte{1, 1, 1, 0}}.Marshal(),
		verify.Extensions:    packet.Frame{Flow: six(packet.TCP), Extensions: []packet.Extension{{Kind: packet.HopByHop}}}.Marshal(),
		verify.VLAN:          packet.Frame{Flow: four(packet.TCP), Tags: []packet.Tag{{ID: 7}}}.Marshal(),
		verify.NonIP:         arp,
	}
}

// flowOf returns a random flow.
func flowOf(random *rand.Rand, p packet.Protocol, v4 bool) packet.Flow {
	end := func() netip.AddrPort {
		var b [16]byte
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		b[0] = 0x20 // unicast in both families
		address := netip.AddrFrom16(b)
		if v4 {
			address = netip.AddrFrom4([4]byte(b[:4]))
		}
		return netip.AddrPortFrom(address, uint16(1+random.UintN(65535)))
	}
	return packet.Flow{Source: end(), Destination: end(), Protocol: p}
}

// mixture returns frames of every class, rounds of each.
func mixture(t *testing.T, rounds int) [][]byte {
	t.Helper()
	const seed = 1
	random := rand.New(rand.NewPCG(seed, 0))
	var frames [][]byte
	for range rounds {
		all := kinds(random)
		for _, class := range verify.Classes() { // in an order that the seed decides
			if frame, ok := all[class]; ok {
				if got := verify.ClassOf(frame); got != class {
					t.Fatalf("a frame made as %s is %s", class, got)
				}
				frames = append(frames, frame)
			}
		}
	}
	return frames
}

// send sends frames out of a link as they are.
func send(tb testing.TB, l netns.Link, frames [][]byte) {
	tb.Helper()
	check(tb, l.Namespace().Do(func() error {
		socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(socket)
		for _, frame := range frames {
			if err := unix.Sendto(socket, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.Index}); err != nil {
				return err
			}
		}
		return nil
	}))
}
