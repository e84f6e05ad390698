package rss

import "net/netip"

// chunk is how many flows are laid out at once.
const chunk = 256

// HashFlows writes the hashes of flows over what AppendTuple appends of them: hashes[i] is that of flow(i). The two addresses of
// a flow are of one family. flow is called once for each, in order.
func (b *Batch) HashFlows(hashes []uint32, flow func(i int) (source, destination netip.AddrPort)) {
	var l layout
	for i := range hashes {
		source, destination := flow(i)
		if v6 := !source.Addr().Is4(); v6 != l.v6 || l.n == chunk {
			l.hash(b, hashes[i-l.n:i])
			l.n, l.v6 = 0, v6
		}
		l.add(source, destination)
	}
	l.hash(b, hashes[len(hashes)-l.n:])
}

// layout is flows of one family, as Batch takes them.
type layout struct {
	n                     int
	v6                    bool
	source4, destination4 [chunk][4]byte
	source6, destination6 [chunk][16]byte
	ports                 [chunk]uint32
	ports4                [chunk][4]byte
}

func (l *layout) add(source, destination netip.AddrPort) {
	if l.v6 {
		l.source6[l.n], l.destination6[l.n] = source.Addr().As16(), destination.Addr().As16()
		l.ports[l.n] = PackPorts(source.Port(), destination.Port())
	} else {
		l.source4[l.n], l.destination4[l.n] = source.Addr().As4(), destination.Addr().As4()
		s, d := source.Port(), destination.Port()
		l.ports4[l.n] = [4]byte{byte(s >> 8), byte(s), byte(d >> 8), byte(d)}
	}
	l.n++
}

func (l *layout) hash(b *Batch, hashes []uint32) {
	if l.v6 {
		b.HashIPv6(hashes, l.source6[:l.n], l.destination6[:l.n], l.ports[:l.n])
	} else {
		b.HashIPv4(hashes, l.source4[:l.n], l.destination4[:l.n], l.ports4[:l.n])
	}
}
