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
	// extended pads what is quoted to 128 bytes and puts an extension behind it, as RFC 4884 has it.
	extended bool
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
	rest := [4]byte{0, 0, 0x05, 0xdc}
	if q.extended {
		body = append(body, make([]byte, 128-len(body))...)
		body = append(body, 0x20, 0, 0xd1, 0xfe, 0, 8, 2, 1, 1, 2, 3, 4)
		rest = [4]byte{16, 0, 0, 0} // of 8 bytes
		if f.v4 {
			rest = [4]byte{0, 32, 0, 0} // of 4 bytes
		}
	}
	return p.icmp(kind, q.code, rest, body).Frame()
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

// linkLocal is a router that names an address of its link alone.
func linkLocal(Packet) netip.Addr { return netip.MustParseAddr("fe80::9") }

// quotedBytes writes bytes at an offset of what is quoted.
func quotedBytes(at int, bytes ...byte) func([]byte) {
	return func(b []byte) { copy(b[at:], bytes) }
}

// long makes the quoted packet so long that the error has n bytes.
func (s scene) long(n int) func(*Packet) {
	return func(p *Packet) { p.Payload = make([]byte, n-s.ipHeader()-8-s.headers()) }
}

// unanswerable are sources that are no single host: they get no answers.
func unanswerable(s scene) []netip.AddrPort {
	if s.v4 {
		return ends("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.0.9", "224.0.0.1", "239.255.255.255", "255.255.255.255")
	}
	return ends("::", "::1", "ff02::1", "ffff::", "::ffff:127.0.0.1")
}

// oddHosts are sources that look like one of these and are a host all the same.
func oddHosts(s scene) []netip.AddrPort {
	if s.v4 {
		return ends("240.0.0.1", "223.255.255.255")
	}
	return ends("64:ff9b::1", "fe80::1", "::2")
}

// ends returns addresses with a port.
func ends(addresses ...string) (all []netip.AddrPort) {
	for _, a := range addresses {
		all = append(all, netip.AddrPortFrom(netip.MustParseAddr(a), 40000))
	}
	return all
}

// elsewhere is a host to which no route leads.
func elsewhere(s scene) netip.AddrPort { return s.off(9, 9) }
