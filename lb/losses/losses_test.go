package losses

import (
	"fmt"
	"testing"

	"lbctl/bpf"
	"lbctl/bpf/need"
	"lbctl/lb/testns"

	"golang.org/x/sys/unix"
)

// BenchmarkRead reads what was lost towards eight interfaces, by each cause, on a host with a thousand.
func BenchmarkRead(b *testing.B) {
	need.Root(b)
	testns.Enter(b)
	var links []uint32
	for n := range 500 {
		links = append(links, uint32(testns.Veth(b, fmt.Sprint("veth", n)).Attrs().Index))
	}
	var own unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &own); err != nil {
		b.Fatal(err)
	}
	c, err := Open(own.Ino)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	c.ours[links[0]] = true
	for _, to := range links[:8] {
		for cause := range bpf.LossesLossCauseLOSS_CAUSES {
			if err := c.objects.Losses.Put(bpf.LossesLossKey{From: links[0], To: to, Cause: uint32(cause)}, bpf.LossesLoss{Packets: 1}); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		if all, err := c.Read(nil); err != nil || len(all) != 24 {
			b.Fatal(all, err)
		}
	}
}
