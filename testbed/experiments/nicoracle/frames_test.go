package nicoracle

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"lbctl/rss/packet"
)

// layersOf lists what an independent decoder finds in a frame.
func layersOf(b []byte) (map[gopacket.LayerType]int, gopacket.Packet) {
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
	found := map[gopacket.LayerType]int{}
	for _, l := range p.Layers() {
		found[l.LayerType()]++
	}
	return found, p
}

// Frames are of the kind they are said to be, and end with their tags.
func TestFramesAreOfTheirKind(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 0))
	for k := range kinds {
		for tag := range uint32(200) {
			f := newFrame(r, k, packet.MAC{0x52}, tag)
			if got := binary.BigEndian.Uint32(f.Bytes[len(f.Bytes)-4:]); got != tag {
				t.Fatalf("%v: tag %d, want %d", k, got, tag)
			}
			found, p := layersOf(f.Bytes)
			if !isOf(k, found, p) {
				t.Fatalf("seed %d, %v: an independent decoder finds %v in %x", seed, k, found, f.Bytes)
			}
		}
	}
}

func isOf(k Kind, found map[gopacket.LayerType]int, p gopacket.Packet) bool {
	tcp, udp := found[layers.LayerTypeTCP], found[layers.LayerTypeUDP]
	v4, v6 := found[layers.LayerTypeIPv4], found[layers.LayerTypeIPv6]
	plain := found[gopacket.LayerTypeFragment]+found[layers.LayerTypeDot1Q]+found[layers.LayerTypeIPv6HopByHop] == 0 && !hasOptions(p)
	switch k {
	case TCP4:
		return plain && v4 == 1 && tcp == 1
	case UDP4:
		return plain && v4 == 1 && udp == 1
	case TCP6:
		return plain && v6 == 1 && tcp == 1
	case UDP6:
		return plain && v6 == 1 && udp == 1
	case Other:
		return plain && v4+v6 >= 1 && tcp+udp == 0
	case FirstFragment:
		offset, more := fragmentOf(p)
		return offset == 0 && more
	case LaterFragment:
		offset, _ := fragmentOf(p)
		return offset > 0
	case Options:
		return hasOptions(p) && tcp+udp == 1
	case HopByHop:
		return found[layers.LayerTypeIPv6HopByHop] == 1 && tcp+udp == 1
	case VLAN:
		tags := found[layers.LayerTypeDot1Q]
		return (tags == 1 || tags == 2) && tcp+udp == 1
	}
	return k == NotIP && v4+v6 == 0
}

func hasOptions(p gopacket.Packet) bool {
	ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	return ok && ip.IHL > 5
}

// fragmentOf returns a fragment's offset, -1 of what is none, and whether more follow.
func fragmentOf(p gopacket.Packet) (offset int, more bool) {
	if ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok && (ip.FragOffset > 0 || ip.Flags&layers.IPv4MoreFragments != 0) {
		return int(ip.FragOffset), ip.Flags&layers.IPv4MoreFragments != 0
	}
	if f, ok := p.Layer(layers.LayerTypeIPv6Fragment).(*layers.IPv6Fragment); ok {
		return int(f.FragmentOffset), f.MoreFragments
	}
	return -1, false
}

// One seed makes one plan, another makes another.
func TestSetupsFollowTheSeed(t *testing.T) {
	plan := func(seed uint64) []Setup { return setups(rand.New(rand.NewPCG(seed, 1)), minPackets, hello()) }
	a, b, other := plan(1), plan(1), plan(2)
	total := 0
	for i := range a {
		if len(a[i].Frames) != len(b[i].Frames) || !bytes.Equal(a[i].Change.RSS.Key, b[i].Change.RSS.Key) {
			t.Fatalf("set-up %d differs under one seed", i)
		}
		for j := range a[i].Frames {
			if !bytes.Equal(a[i].Frames[j].Bytes, b[i].Frames[j].Bytes) {
				t.Fatalf("frame %d of set-up %d differs under one seed", j, i)
			}
			if bytes.Equal(a[i].Frames[j].Bytes, other[i].Frames[j].Bytes) {
				t.Fatalf("frame %d of set-up %d is the same under two seeds", j, i)
			}
		}
		if a[i].Name != hashOff {
			total += len(a[i].Frames)
		}
	}
	if total != minPackets {
		t.Errorf("%d packets, want %d", total, minPackets)
	}
}
