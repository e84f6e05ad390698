package nic

import (
	"testing"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// setups are NICs for which different bytes of a packet decide.
func setups(t *testing.T) map[string]*NIC {
	all := map[string]*NIC{}
	for name, change := range map[string]func(*Config){
		"4-tuple": func(*Config) {},
		"addresses": func(c *Config) {
			c.TCP4, c.UDP4, c.TCP6, c.UDP6 = rss.Addresses, rss.Addresses, rss.Addresses, rss.Addresses
		},
		"tcp alone": func(c *Config) { c.UDP4, c.UDP6 = rss.Addresses, rss.Addresses },
		"inner":     func(c *Config) { c.Inner = packet.AllTunnels },
		"gre":       func(c *Config) { c.Inner = packet.TunnelGRE },
		"spi":       func(c *Config) { c.ESP4, c.AH4, c.AH6 = rss.FourTuple, rss.FourTuple, rss.FourTuple },
		"label":     func(c *Config) { c.TCP6, c.UDP6 = rss.Addresses|rss.FlowLabel, rss.FourTuple|rss.FlowLabel },
		"no fields": func(c *Config) { c.TCP4, c.IP4 = 0, 0 },
		"entry 0":   func(c *Config) { c.DefaultQueue.FirstEntry = true; c.Table[0] = 3 },
		"queue 2":   func(c *Config) { c.DefaultQueue.Queue = 2 },
	} {
		config, err := Default(4)
		if err != nil {
			t.Fatal(err)
		}
		change(&config)
		if all[name], err = New(config); err != nil {
			t.Fatal(name, err)
		}
	}
	return all
}

// samples are frames of many kinds.
func samples() map[string][]byte {
	vxlan := with(flow4, packet.UDP)
	vxlan.Destination = withPort(vxlan.Destination, packet.VXLANPort)
	ip4, ethernet := packet.Frame{Flow: flow4}.Marshal()[14:], packet.Frame{Flow: flow6}.Marshal()
	frames := map[string]packet.Frame{
		"tcp4": {Flow: flow4, Payload: make([]byte, 80)}, "udp4": {Flow: with(flow4, packet.UDP)}, "tcp6": {Flow: flow6},
		"udp6": {Flow: with(flow6, packet.UDP)}, "sctp": {Flow: portless(with(flow4, packet.SCTP)), Payload: make([]byte, 40)}, "tags": {Flow: flow4, Tags: make([]packet.Tag, 2)},
		"three tags": {Flow: flow4, Tags: make([]packet.Tag, 3)}, "options": {Flow: flow4, Options: make([]byte, 40)},
		"extensions": {Flow: flow6, Extensions: make([]packet.Extension, 3)},
		"fragment":   {Flow: flow4, Fragment: &packet.Fragment{More: true}, Payload: make([]byte, 40)},
		"fragment6":  {Flow: flow6, Fragment: &packet.Fragment{Offset: 8}, Payload: make([]byte, 40)},
		"icmp":       {Flow: portless(with(flow4, packet.ICMP)), Payload: make([]byte, 40)},
		"esp":        {Flow: portless(with(flow4, packet.ESP)), Payload: make([]byte, 40)},
		"ah":         {Flow: portless(with(flow4, packet.Authentication)), Payload: make([]byte, 40)},
		"gre":        {Flow: portless(with(flow4, packet.GRE)), Payload: append([]byte("\xb0\x00\x08\x00012345678901"), ip4...)},
		"vxlan":      {Flow: vxlan, Payload: append([]byte("\x08\x00\x00\x00\x00\x00\x01\x00"), ethernet...)},
	}
	all := map[string][]byte{"arp": append(make([]byte, 12), 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1)}
	for name, f := range frames {
		all[name] = f.Marshal()
	}
	super := append([]byte{}, all["tcp4"]...)
	super[16], super[17] = 0, 0
	all["super"] = super
	return all
}

// A packet cut by the snapshot length has the result that it has whole, or it is said that it cannot be predicted.
func TestCutNeverChangesTheResult(t *testing.T) {
	for setup, n := range setups(t) {
		for name, b := range samples() {
			whole := n.Classify(b)
			predicted := 0
			for length := range b {
				h, err := packet.ParseCaptured(b[:length], true)
				got := n.ClassifyHeaders(b[:length], &h, err)
				if got.Unhashed == Cut {
					if predicted > 0 {
						t.Errorf("%s of %s: %d bytes are not enough, and fewer were", name, setup, length)
					}
					continue
				}
				predicted++
				if got.Hash != whole.Hash || got.Queue != whole.Queue || got.Fields != whole.Fields || got.Unhashed != whole.Unhashed {
					t.Errorf("%s of %s cut to %d bytes: %+v, whole %+v", name, setup, length, got, whole)
				}
			}
			if h, err := packet.ParseCaptured(b[:len(b)-1], true); n.ClassifyHeaders(b[:len(b)-1], &h, err).Unhashed == Cut && name != "vxlan" && name != "gre" {
				t.Errorf("%s of %s: without its last byte it is not predicted", name, setup)
			}
		}
	}
}

// Addresses are enough for a NIC that hashes nothing else.
func TestCutWhereAddressesDecide(t *testing.T) {
	b := samples()["udp4"][:34]
	for setup, want := range map[string]Unhashed{"4-tuple": Cut, "addresses": 0, "tcp alone": 0, "inner": Cut, "gre": Cut} {
		h, err := packet.ParseCaptured(b, true)
		if got := setups(t)[setup].ClassifyHeaders(b, &h, err); got.Unhashed != want {
			t.Errorf("udp without ports, %s: %v, want %v", setup, got.Unhashed, want)
		}
	}
}
