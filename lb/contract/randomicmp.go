package contract

import (
	"math/rand/v2"

	"lbctl/rss/packet"
)

// randomICMP returns an echo to where a packet goes, or an error about it, or about the answer
// to it, which a host on the way sends to its sender. Any of the quote may be missing.
func randomICMP(r *rand.Rand, p Packet) Packet {
	v4 := p.Flow.Source.Addr().Is4()
	if r.IntN(4) == 0 {
		kind := byte(128)
		if v4 {
			kind = 8
		}
		return p.icmp(kind, 0, [4]byte{1, 2, 3, 4}, p.Payload)
	}
	quoted := p
	if r.IntN(2) == 0 {
		quoted.Flow = quoted.Flow.Reverse()
	}
	kinds := []byte{1, 2, 3, 4, 5, 128}
	if v4 {
		kinds = []byte{3, 4, 5, 11, 12, 8}
	}
	ip := quoted.ip()
	if r.IntN(4) == 0 {
		ip = ip[:r.IntN(len(ip)+1)]
	}
	sender := quoted.Flow.Destination
	if r.IntN(3) == 0 {
		sender = randomClient(r, familyOf(quoted.Flow.Source.Addr()))
	}
	p.Flow = packet.Flow{Source: sender, Destination: quoted.Flow.Source, Protocol: p.Flow.Protocol}
	return p.icmp(kinds[r.IntN(6)], byte(r.IntN(2)), [4]byte{}, ip[:min(len(ip), 1200)])
}
