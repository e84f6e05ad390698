package rss

import "net/netip"

// chunk is how many flows are laid out at once.
const chunk = 256

// HashFlows writes the hashes of flows over what AppendTuple appends of them. The two addresses of a flow are of one family. It
// panics when the slices differ in length.
func (b *Batch) HashFlows(hashes []uint32, sources, destinations []netip.AddrPort) {
	checkLengths(len(hashes), len(sources), len(destinations), 0, true)
	for from := 0; from < len(hashes); {
		v4, to := isIPv4(sources[from]), from+1
		for to < len(hashes) && to-from < chunk && isIPv4(sources[to]) == v4 {
			to++
		}
		if v4 {
			b.hashFlows4(hashes[from:to], sources[from:to], destinations[from:to])
		} else {
			b.hashFlows6(hashes[from:to], sources[from:to], destinations[from:to])
		}
		from = to
	}
}

func isIPv4(a netip.AddrPort) bool { return a.Addr().Is4() }

func (b *Batch) hashFlows4(hashes []uint32, sources, destinations []netip.AddrPort) {
	var source, destination [chunk][4]byte
	var ports [chunk][4]byte
	n := len(hashes)
	for i := range n {
		s, d := sources[i], destinations[i]
		source[i], destination[i] = s.Addr().As4(), d.Addr().As4()
		ports[i] = [4]byte{byte(s.Port() >> 8), byte(s.Port()), byte(d.Port() >> 8), byte(d.Port())}
	}
	b.HashIPv4Network(hashes, source[:n], destination[:n], ports[:n])
}

func (b *Batch) hashFlows6(hashes []uint32, sources, destinations []netip.AddrPort) {
	var source, destination [chunk][16]byte
	var ports [chunk]uint32
	n := len(hashes)
	for i := range n {
		s, d := sources[i], destinations[i]
		source[i], destination[i], ports[i] = s.Addr().As16(), d.Addr().As16(), PackPorts(s.Port(), d.Port())
	}
	b.HashIPv6(hashes, source[:n], destination[:n], ports[:n])
}
