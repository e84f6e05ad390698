package traffic

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"lbctl/testbed/traffic/dial"
)

// The source ports that are dealt out: those above the well-known ones. An address of which most are dealt leaves the rest to
// the kernel.
const (
	firstPort = 10_000
	somePorts = 50_000
	mostDealt = somePorts / 2
)

// dealer deals source ports to connections, no port of an address twice. The seed decides them: so a run with the same seed
// has the same 4-tuples.
type dealer struct {
	random *rand.Rand
	dealt  map[netip.AddrPort]bool
	count  map[netip.Addr]int
}

func newDealer(seed uint64) *dealer {
	return &dealer{random: rand.New(rand.NewPCG(seed, 1<<32)), dealt: map[netip.AddrPort]bool{}, count: map[netip.Addr]int{}}
}

// deal returns a port of an address, 0 for one that the kernel chooses.
func (d *dealer) deal(of netip.Addr) netip.AddrPort {
	if d.count[of] == mostDealt {
		return netip.AddrPortFrom(of, 0)
	}
	for {
		at := netip.AddrPortFrom(of, uint16(firstPort+d.random.IntN(somePorts)))
		if !d.dealt[at] {
			d.dealt[at] = true
			d.count[of]++
			return at
		}
	}
}

// from connects from the port that was dealt. One that an earlier connection still holds (TIME_WAIT) is left alone: the next
// ones are tried, and at last the kernel chooses.
func from(ctx context.Context, source, to netip.AddrPort) (*net.TCPConn, error) {
	const tries = 16
	for i := range tries {
		port := source.Port()
		if port != 0 {
			port = uint16(firstPort + (int(port)-firstPort+i)%somePorts)
		}
		conn, err := dial.FromPort(ctx, netip.AddrPortFrom(source.Addr(), port), to)
		if !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return conn, err
		}
	}
	return dial.From(ctx, source.Addr(), to)
}
