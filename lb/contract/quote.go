package contract

import (
	"net/netip"
)

// quote builds an ICMP error to the destination of a packet's flow. It quotes a packet of the
// flow that runs the other way. The zero value is a destination unreachable of a router, which quotes everything.
type quote struct {
	// kind and code are those of ICMP.
	kind, code byte
	// bytes is how much is quoted, 0 everything; nothing quotes none.
	bytes   int
	nothing bool
	// from is who sends the error, if not a router on East.
	from func(p Packet) netip.Addr
	// quoted changes the quoted packet, body the bytes that are quoted.
	quoted func(p *Packet)
	body   func(b []byte)
}

func (q quote) build(p Packet) []byte {
	quoted := Packet{
		Flow: p.Flow.Reverse(), TTL: 61, ID: 0x4711, DontFragment: true, Flags: 0x10, Payload: []byte("as it was sent"),
	}
	if q.quoted != nil {
		q.quoted(&quoted)
	}
	f, from := familyOf(p.Flow.Source.Addr()), q.from
	if from == nil {
		from = func(Packet) netip.Addr { return f.on(East, 9, 0).Addr() }
	}
	kind := q.kind
	if kind == 0 {
		kind = f.errorTypes()[0]
	}
	body := quoted.ip()
	if q.bytes > 0 || q.nothing {
		body = body[:q.bytes]
	}
	if q.body != nil {
		q.body(body)
	}
	p.Flow.Source = netip.AddrPortFrom(from(p), 0)
	return p.icmp(kind, q.code, [4]byte{0, 0, 0x05, 0xdc}, body).Frame()
}

// errorTypes are the types of ICMP that quote a packet that did not get through, destination unreachable first.
func (f family) errorTypes() []byte {
	if f.v4 {
		return []byte{3, 4, 11, 12}
	}
	return []byte{1, 2, 3, 4}
}

// sender is the source of the packet that the error answers.
func sender(p Packet) netip.Addr { return p.Flow.Source.Addr() }

// quotedBytes writes bytes at an offset of what is quoted.
func quotedBytes(at int, bytes ...byte) func([]byte) {
	return func(b []byte) { copy(b[at:], bytes) }
}

// long makes the quoted packet so long that the error has n bytes.
func (s scene) long(n int) func(*Packet) {
	return func(p *Packet) { p.Payload = make([]byte, n-s.ipHeader()-8-s.headers()) }
}
