package decap

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/testns"

	"github.com/google/go-cmp/cmp"
)

// The program and the reference agree on every packet. LBCTL_PACKETS sets how many, LBCTL_SEED
// which ones.
func TestDifferential(t *testing.T) {
	seed, packets := testns.Setting(t, "LBCTL_SEED", 1), testns.Setting(t, "LBCTL_PACKETS", 20_000)
	t.Logf("seed %d, %d packets", seed, packets)
	r := rand.New(rand.NewPCG(seed, 0))
	o := asked()
	k, model := loaded(t, o), reference{o.Locals, o.VIPs, o.Ports}
	met := map[lb.Reason]int{}
	for n := range packets {
		frame := generate(r)
		got, want := k.send(frame), model.judge(frame)
		met[want.Reason]++
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("packet %d: % x (-reference +kernel):\n%s", n, frame, diff)
		}
	}
	t.Log("met:", met)
	if packets < 5000 {
		return
	}
	all, err := bpf.DecapReasons()
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range all {
		if met[lb.Reason(reason)] == 0 && reason != "fault" {
			t.Errorf("no packet ended as %s, of %v", reason, slices.Sorted(maps.Keys(met)))
		}
	}
}

// generate makes a packet that is right, and then changes none to three things of it, of which
// each leaves most of the others right.
func generate(r *rand.Rand) []byte {
	f := encapsulations[r.IntN(len(encapsulations))].valid(make([]byte, r.IntN(80))...)
	for range max(0, r.IntN(6)-3) + r.IntN(2) {
		f.tag([]uint16{0x8100, 0x88a8}[r.IntN(2)], uint16(r.Uint32()))
	}
	setECN(f.outer, byte(r.IntN(4)))
	setECN(f.inner, byte(r.IntN(4)))
	for range r.IntN(4) {
		pick(r, edits...)(r, f)
	}
	return spoil(r, f.bytes())
}

var edits = []func(r *rand.Rand, f *frame){
	func(r *rand.Rand, f *frame) { f.kind = pick(r, 0x0800, 0x86dd, 0x8100, 0x0806, uint16(r.Uint32())) },
	func(r *rand.Rand, f *frame) { f.padding = make([]byte, r.IntN(40)) },
	func(r *rand.Rand, f *frame) { f.resize(len(f.inner) + r.IntN(5) - 2) },
	func(r *rand.Rand, f *frame) { f.resize(r.IntN(1 << 16)) },
	func(r *rand.Rand, f *frame) { f.outer[r.IntN(len(f.outer))] = byte(r.Uint32()); reseal(f) },
	func(r *rand.Rand, f *frame) { f.outer[r.IntN(len(f.outer))] ^= 1 << r.IntN(8) },
	func(r *rand.Rand, f *frame) { f.inner[r.IntN(min(40, len(f.inner)))] = byte(r.Uint32()) },
	func(r *rand.Rand, f *frame) { f.inner[r.IntN(min(40, len(f.inner)))] ^= 1 << r.IntN(8) },
	func(r *rand.Rand, f *frame) { // an inner length of its own
		at := 2
		if f.inner[0]>>4 == 6 {
			at = 4
		}
		binary.BigEndian.PutUint16(f.inner[at:], uint16(r.IntN(len(f.inner)+3)))
	},
	func(r *rand.Rand, f *frame) { // the protocol
		p := pick(r, 4, 41, 17, 0, 43, 44, 51, 60, 59, byte(r.Uint32()))
		if f.outer[0]>>4 == 6 {
			f.outer[6] = p
		} else {
			f.outer[9] = p
			seal(f.outer)
		}
	},
	func(r *rand.Rand, f *frame) { // an extension header, or options
		if f.outer[0]>>4 == 6 {
			behind(pick[byte](r, 0, 43, 44, 51, 60), pick[byte](r, 4, 41, 17))(f)
			return
		}
		f.outer = append(f.outer, 1, 1, 1, 0)
		f.outer[0] = 0x40 | byte(r.IntN(16))
		f.resize(len(f.inner))
	},
	func(r *rand.Rand, f *frame) { // a fragment
		if f.outer[0]>>4 == 4 {
			binary.BigEndian.PutUint16(f.outer[6:], 1<<r.IntN(16))
			seal(f.outer)
		}
	},
	func(r *rand.Rand, f *frame) { // of UDP
		if f.udp != nil {
			f.udp[r.IntN(8)] = pick(r, 0, 1, 7, byte(r.Uint32()))
		}
	},
	func(r *rand.Rand, f *frame) { // the address of somebody else
		to, version := f.inner, f.inner[0]>>4
		if r.IntN(2) == 0 {
			to, version = f.outer, f.outer[0]>>4
		}
		if version == 6 {
			copy(to[24:], pick(r, vip6, replica6, client6).AsSlice())
			return
		}
		copy(to[16:], pick(r, vip4, replica4, client4).AsSlice())
		reseal(f)
	},
}

func pick[T any](r *rand.Rand, some ...T) T { return some[r.IntN(len(some))] }

// spoil cuts one frame in eight short, and changes a byte in one of eight.
func spoil(r *rand.Rand, frame []byte) []byte {
	if r.IntN(8) == 0 {
		frame[r.IntN(len(frame))] = byte(r.Uint32())
	}
	if r.IntN(8) == 0 {
		frame = frame[:14+r.IntN(len(frame)-13)]
	}
	return frame
}
