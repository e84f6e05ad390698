package nic

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// definition is the hash of an input by the slow functions.
func definition(c Config, input []byte) uint32 {
	switch c.Function {
	case rss.FunctionXOR:
		return rss.XOR(input)
	case rss.FunctionCRC32:
		return rss.CRC32(input)
	}
	return rss.Toeplitz(c.Key, input)
}

// classified compares a frame's classification, with and without its Ethernet header, with the hash of
// an input.
func classified(t *testing.T, change func(*Config), frame []byte, fields rss.Fields, input []byte) Result {
	t.Helper()
	config, err := Default(4)
	if err != nil {
		t.Fatal(err)
	}
	change(&config)
	n, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	r := n.Classify(frame)
	if r.Fields != fields || r.Hash != definition(config, input) || !r.Hashed || r.Queue != config.Table.Queue(r.Hash) {
		t.Errorf("hashed on %v to %#08x, want %v, %#08x", r.Fields, r.Hash, fields, definition(config, input))
	}
	if diff := cmp.Diff(r, n.ClassifyIP(frame[packet.EthernetLength:]), comparable); diff != "" {
		t.Errorf("without its Ethernet header (-want +got):\n%s", diff)
	}
	return r
}

func TestClassifyFields(t *testing.T) {
	two := rss.AppendAddresses(nil, flow4.Source.Addr(), flow4.Destination.Addr())
	four := rss.AppendTuple(nil, flow4.Source, flow4.Destination)
	frame := packet.Frame{Flow: flow4}.Marshal()
	sctp := packet.Frame{Flow: portless(with(flow4, packet.SCTP)), Payload: []byte("\x0a\xea\x06\xe6\x00\x00\x00\x00\x00\x00\x00\x00")}.Marshal()
	esp := packet.Frame{Flow: portless(with(flow4, packet.ESP)), Payload: []byte("\x0a\xea\x06\xe6\x00\x00\x00\x01")}.Marshal()
	ah := packet.Frame{Flow: portless(with(flow4, packet.Authentication)), Payload: []byte("\x06\x04\x00\x00\x0a\xea\x06\xe6\x00\x00\x00\x01")}.Marshal()
	fragment := packet.Frame{Flow: portless(with(flow4, packet.SCTP)), Payload: make([]byte, 16), Fragment: &packet.Fragment{More: true}}.Marshal()
	for _, c := range []struct {
		name   string
		change func(*Config)
		frame  []byte
		fields rss.Fields
		input  []byte
	}{
		{"source alone", func(c *Config) { c.TCP4 = rss.SourceAddress }, frame, rss.SourceAddress, two[:4]},
		{"ports alone", func(c *Config) { c.TCP4 = rss.Ports }, frame, rss.Ports, four[8:]},
		{"sctp as ip", func(*Config) {}, sctp, rss.Addresses, two},
		{"sctp by its ports", func(c *Config) { c.SCTP4 = rss.FourTuple }, sctp, rss.FourTuple, four},
		{"sctp fragment", func(c *Config) { c.SCTP4 = rss.FourTuple }, fragment, rss.Addresses, two},
		{"esp as ip", func(*Config) {}, esp, rss.Addresses, two},
		{"esp by its spi", func(c *Config) { c.ESP4 = rss.FourTuple }, esp, rss.FourTuple, four},
		{"ah as ip", func(*Config) {}, ah, rss.Addresses, two},
		{"ah by its spi", func(c *Config) { c.AH4 = rss.FourTuple }, ah, rss.FourTuple, four},
		{"xor", func(c *Config) { c.Function = rss.FunctionXOR }, frame, rss.FourTuple, four},
		{"crc32", func(c *Config) { c.Function = rss.FunctionCRC32 }, frame, rss.FourTuple, four},
		{"symmetric", func(c *Config) { c.Transform = rss.SymmetricXOR }, frame, rss.FourTuple,
			[]byte("\xe3\x87\xf1\xeb\xe3\x87\xf1\xeb\x0c\x0c\x0c\x0c")}, // 4209 95bb ^ a18e 6450, 0aea ^ 06e6
		{"symmetric or", func(c *Config) { c.Transform = rss.SymmetricOrXOR }, frame, rss.FourTuple,
			[]byte("\xe3\x8f\xf5\xfb\xe3\x87\xf1\xeb\x0e\xee\x0c\x0c")},
	} {
		t.Run(c.name, func(t *testing.T) { classified(t, c.change, c.frame, c.fields, c.input) })
	}
}

// The flow label is hashed with the addresses; over IPv6 the packet that an AH protects is hashed unless AH6 is set.
func TestClassifyIPv6(t *testing.T) {
	two := rss.AppendAddresses(nil, flow6.Source.Addr(), flow6.Destination.Addr())
	four := rss.AppendTuple(nil, flow6.Source, flow6.Destination)
	frame := packet.Frame{Flow: flow6}.Marshal()
	binary.BigEndian.PutUint32(frame[packet.EthernetLength:], 0x600abcde)
	label := func(c *Config) { c.TCP6 = rss.Addresses | rss.FlowLabel }
	classified(t, label, frame, rss.Addresses|rss.FlowLabel, append(two[:len(two):len(two)], 0x0a, 0xbc, 0xde))

	ah := packet.Frame{Flow: flow6, Extensions: []packet.Extension{{Kind: packet.DestinationOptions, Data: make([]byte, 22)}}}.Marshal()
	ah[packet.EthernetLength+6], ah[packet.EthernetLength+41] = byte(packet.Authentication), 4
	copy(ah[packet.EthernetLength+44:], "\x11\x22\x33\x44")
	classified(t, func(*Config) {}, ah, rss.FourTuple, four)
	classified(t, func(c *Config) { c.AH6 = rss.FourTuple }, ah, rss.FourTuple, append(two[:len(two):len(two)], 0x11, 0x22, 0x33, 0x44))
}

func TestClassifyTunnels(t *testing.T) {
	outer := with(flow("192.0.2.1:9999", "198.51.100.1:4789"), packet.UDP)
	vxlan := func(inner []byte) []byte {
		return packet.Frame{Flow: outer, Payload: append([]byte("\x08\x00\x00\x00\x00\x00\x01\x00"), inner...)}.Marshal()
	}
	inner6 := packet.Frame{Flow: flow6}.Marshal()
	arp := packet.Frame{Flow: flow4}.Marshal()
	arp[12], arp[13] = 0x08, 0x06
	outside := rss.AppendTuple(nil, outer.Source, outer.Destination)
	all := func(c *Config) { c.Inner = packet.AllTunnels }
	for _, c := range []struct {
		name   string
		change func(*Config)
		frame  []byte
		tunnel packet.Tunnel
		input  []byte
	}{
		{"outer", func(*Config) {}, vxlan(inner6), 0, outside},
		{"inner", all, vxlan(inner6), packet.TunnelVXLAN, rss.AppendTuple(nil, flow6.Source, flow6.Destination)},
		{"inner of other tunnels", func(c *Config) { c.Inner = packet.TunnelGRE | packet.TunnelGeneve }, vxlan(inner6), 0, outside},
		{"arp inside", all, vxlan(arp), 0, outside},
		{"cut inside", all, vxlan(inner6[:30]), 0, outside},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := classified(t, c.change, c.frame, rss.FourTuple, c.input)
			want := outer
			if c.tunnel != 0 {
				want = flow6
			}
			if r.Tunnel != c.tunnel || r.Flow != want {
				t.Errorf("flow %v in %v, want %v in %v", r.Flow, r.Tunnel, want, c.tunnel)
			}
		})
	}
}

// FuzzClassify checks for any bytes and any setup that there is no panic, that the queue exists, that a hash has
// fields, and that the flow of a plain packet has the same result.
func FuzzClassify(f *testing.F) {
	for _, frame := range []packet.Frame{
		{Flow: flow4}, {Flow: flow6}, {Flow: with(flow4, packet.UDP), Tags: make([]packet.Tag, 2)},
		{Flow: flow6, Fragment: &packet.Fragment{Offset: 8}}, {Flow: portless(with(flow4, packet.GRE)), Payload: []byte("\x00\x00\x08\x00")},
	} {
		f.Add(frame.Marshal(), uint8(0), uint8(0), uint8(0), uint32(0), false)
		f.Add(frame.Marshal(), uint8(1), uint8(2), uint8(31), uint32(0xffffffff), true)
	}
	f.Fuzz(func(t *testing.T, frame []byte, function, transform, inner uint8, initial uint32, quirky bool) {
		config, err := Default(7)
		if err != nil {
			t.Fatal(err)
		}
		config.Function, config.Transform, config.Inner = rss.Function(function), rss.Transform(transform), packet.Tunnel(inner)
		config.Quirks = Quirks{Initial: initial, Sorted: quirky, LowHalfTwice: quirky}
		n, err := New(config)
		if err != nil {
			return
		}
		for _, r := range []Result{n.Classify(frame), n.ClassifyIP(frame)} {
			if int(r.Queue) >= 7 || r.Hashed != (r.Fields != 0) || !r.Hashed && (r.Hash != 0 || r.Index != 0 || r.Queue != 0) {
				t.Errorf("%+v", r)
			}
			whole := r.Flow.Source.Port() != 0 && r.Flow.Destination.Port() != 0
			if again := n.ClassifyFlow(r.Flow); whole && again.Hash != r.Hash {
				t.Errorf("frame %+v, flow %+v", r, again)
			}
		}
	})
}

func TestClassifyOtherFunctionsDoNotAllocate(t *testing.T) {
	frame := packet.Frame{Flow: flow6}.Marshal()
	for _, change := range []func(*Config){
		func(c *Config) { c.Function = rss.FunctionXOR },
		func(c *Config) { c.Function, c.Inner = rss.FunctionCRC32, packet.AllTunnels },
		func(c *Config) { c.Transform = rss.SymmetricOrXOR },
		func(c *Config) { c.TCP6 |= rss.FlowLabel; c.Quirks.Sorted = true },
	} {
		config, err := Default(4)
		if err != nil {
			t.Fatal(err)
		}
		change(&config)
		n, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		if a := testing.AllocsPerRun(100, func() { n.Classify(frame) }); a != 0 {
			t.Errorf("%v, %v: %v allocations, want 0", config.Function, config.Transform, a)
		}
	}
}
