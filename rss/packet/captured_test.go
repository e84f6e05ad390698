package packet

import "testing"

// captures are frames whose ports or SPI decide, and the number of bytes up to their end.
func captures() map[string]struct {
	frame   Frame
	decides int
} {
	esp, ah := bare(udp4, ESP), bare(udp4, Authentication)
	return map[string]struct {
		frame   Frame
		decides int
	}{
		"tcp4":       {Frame{Flow: tcp4, Payload: make([]byte, 100)}, 34 + 4},
		"udp4":       {Frame{Flow: udp4, Payload: make([]byte, 100)}, 34 + 4},
		"tagged":     {Frame{Flow: udp4, Tags: make([]Tag, 2)}, 42 + 4},
		"options":    {Frame{Flow: tcp4, Options: make([]byte, 40)}, 74 + 4},
		"tcp6":       {Frame{Flow: tcp6}, 54 + 4},
		"extensions": {Frame{Flow: tcp6, Extensions: []Extension{{Kind: HopByHop}, {Kind: Routing, Data: make([]byte, 22)}}}, 86 + 4},
		"esp":        {Frame{Flow: esp, Payload: make([]byte, 60)}, 34 + 4},
		"ah":         {Frame{Flow: ah, Payload: make([]byte, 60)}, 34 + 8},
		"icmp":       {Frame{Flow: bare(udp4, ICMP), Payload: make([]byte, 60)}, 34},
		"fragment":   {Frame{Flow: udp4, Fragment: &Fragment{More: true}, Payload: make([]byte, 64)}, 34},
		"fragment6":  {Frame{Flow: tcp6, Fragment: &Fragment{More: true}, Payload: make([]byte, 64)}, 62},
	}
}

// Of a packet cut anywhere either all is known that decides its flow, or the error says that it was cut.
func TestParseCaptured(t *testing.T) {
	for name, c := range captures() {
		b := c.frame.Marshal()
		whole, err := Parse(b)
		if err != nil {
			t.Fatal(name, err)
		}
		for n := range b {
			got, err := ParseCaptured(b[:n], true)
			want := whole
			want.Cut = true
			switch {
			case n < c.decides && err != ErrCut:
				t.Errorf("%s, %d bytes of %d: %+v, %v; want %v", name, n, len(b), got, err, ErrCut)
			case n >= c.decides && (got != want || err != nil):
				t.Errorf("%s, %d bytes of %d: %+v, %v; want %+v", name, n, len(b), got, err, want)
			}
		}
	}
}

// A cut does not excuse what is wrong in the packet itself.
func TestCapturedAndDamaged(t *testing.T) {
	long := func(b []byte) []byte { return append(b, make([]byte, 40)...) }
	short4, short6, version := Frame{Flow: tcp4}.Marshal(), Frame{Flow: tcp6}.Marshal(), Frame{Flow: tcp4}.Marshal()
	short4[14+3], short6[14+5], version[14] = 30, 10, 0x75 // total length, payload length
	for name, c := range map[string]struct {
		frame []byte
		want  error
	}{
		"ipv4 with half a tcp header": {long(short4), ErrTransport},
		"ipv6 with half a tcp header": {long(short6), ErrTransport},
		"ip of version 7":             {long(version), ErrIP},
	} {
		if h, err := ParseCaptured(c.frame, true); err != c.want {
			t.Errorf("%s: %+v, %v; want %v", name, h, err, c.want)
		}
	}
}

// Some tools cut packets and write the shortened length as that of the wire.
func TestCutWithoutSaying(t *testing.T) {
	b := Frame{Flow: tcp4}.Marshal()
	if h, err := ParseCaptured(b[:34+4], false); err != nil || h.Flow != tcp4 || !h.Cut {
		t.Errorf("with ports: %+v, %v", h, err)
	}
	if h, err := ParseCaptured(b[:34+3], false); err != ErrCut {
		t.Errorf("without: %+v, %v; want %v", h, err, ErrCut)
	}
}

// merged is a super-packet as a capture has it: the length in the IP header is 0.
func merged(f Frame) []byte {
	f.Payload = make([]byte, 3000)
	b := f.Marshal()
	ip := b[EthernetLength+VLANLength*len(f.Tags):]
	if f.ipv4() {
		ip[2], ip[3] = 0, 0
	} else {
		ip[4], ip[5] = 0, 0
	}
	return b
}

func TestSuperPackets(t *testing.T) {
	for name, f := range map[string]Frame{
		"tcp4": {Flow: tcp4}, "tcp6": {Flow: tcp6}, "udp4": {Flow: udp4}, "tagged": {Flow: tcp4, Tags: make([]Tag, 1)},
		"options": {Flow: tcp4, Options: make([]byte, 8)}, "hop by hop": {Flow: tcp6, Extensions: []Extension{{Kind: HopByHop}}},
		"destination options": {Flow: tcp6, Extensions: []Extension{{Kind: DestinationOptions}}},
	} {
		b := merged(f)
		h, err := Parse(b)
		if err != nil || !h.Super || !h.Ports || h.Flow != f.Flow {
			t.Errorf("%s: %+v, %v; want the flow of a super-packet", name, h, err)
		}
		cut, err := ParseCaptured(b[:h.Transport+4], true)
		if err != nil || !cut.Super || cut.Flow != f.Flow {
			t.Errorf("%s with ports captured: %+v, %v", name, cut, err)
		}
		if cut, err = ParseCaptured(b[:h.Transport+3], true); err != ErrCut {
			t.Errorf("%s without: %+v, %v; want %v", name, cut, err, ErrCut)
		}
		if h, err = Parse(f.Marshal()); err != nil || h.Super && name != "hop by hop" {
			t.Errorf("%s with its length: %+v, %v", name, h, err)
		}
	}
}
