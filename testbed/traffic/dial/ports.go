package dial

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// FirstPort and LastPort bound the source ports of clients that need no others: they are above the well-known ones.
const FirstPort, LastPort = 10_000, 59_999

// Dealer deals source ports to connections, no port of an address twice, as a source of random numbers decides: so a run
// with the same seed has the same 4-tuples. Not safe for concurrent use.
type Dealer struct {
	random      *rand.Rand
	first, last int
	dealt       map[netip.AddrPort]bool
	count       map[netip.Addr]int
}

// NewDealer returns a dealer of the ports from first to last.
func NewDealer(random *rand.Rand, first, last int) *Dealer {
	return &Dealer{random: random, first: first, last: last, dealt: map[netip.AddrPort]bool{}, count: map[netip.Addr]int{}}
}

// Deal returns a port of an address, 0 if half of its ports are dealt: the kernel chooses then.
func (d *Dealer) Deal(of netip.Addr) netip.AddrPort {
	ports := d.last - d.first + 1
	if d.count[of] >= ports/2 {
		return netip.AddrPortFrom(of, 0)
	}
	for {
		at := netip.AddrPortFrom(of, uint16(d.first+d.random.IntN(ports)))
		if !d.dealt[at] {
			d.dealt[at] = true
			d.count[of]++
			return at
		}
	}
}

// FromDealt connects from the port that was dealt. One that an earlier connection still holds (TIME_WAIT) is left alone: the
// next ones are tried, and at last the kernel chooses, as it does of port 0.
func FromDealt(ctx context.Context, source, to netip.AddrPort) (*net.TCPConn, error) {
	const tries, end = 16, 1 << 16
	for port := int(source.Port()); port != 0 && port < min(int(source.Port())+tries, end); port++ {
		conn, err := FromPort(ctx, netip.AddrPortFrom(source.Addr(), uint16(port)), to)
		if !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return conn, err
		}
	}
	return From(ctx, source.Addr(), to)
}
