package nic

import (
	"testing"

	"lbctl/rss"
	"lbctl/rss/packet"
)

func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no key":               func(c *Config) { c.Key = nil },
		"a key too long":       func(c *Config) { c.Key = make(rss.Key, rss.MaxKeyLength+1) },
		"no table":             func(c *Config) { c.Table = nil },
		"a label of tcp4":      func(c *Config) { c.TCP4 = rss.FourTuple | rss.FlowLabel },
		"a vlan":               func(c *Config) { c.UDP6 = rss.VLANTag | rss.Addresses },
		"a label, transformed": func(c *Config) { c.Transform, c.UDP6 = rss.SymmetricXOR, rss.Addresses|rss.FlowLabel },
		"one end, transformed": func(c *Config) { c.Transform, c.SCTP4 = rss.SymmetricOrXOR, rss.SourceAddress },
		"a transform of both":  func(c *Config) { c.Transform = rss.SymmetricXOR | rss.SymmetricOrXOR },
		"a function too many":  func(c *Config) { c.Function = 3 },
		"a tunnel too many":    func(c *Config) { c.Inner = 1 << 7 },
		"ports of ip":          func(c *Config) { c.IP4 = rss.FourTuple },
		"ports of ip6":         func(c *Config) { c.IP6 = rss.FourTuple },
		"unknown field":        func(c *Config) { c.TCP6 = 1 },
	} {
		config, err := Default(4)
		if err != nil {
			t.Fatal(err)
		}
		change(&config)
		if n, err := New(config); err == nil {
			t.Errorf("%s: New = %v, want an error", name, n)
		}
	}
}

func TestDefaultRefuses(t *testing.T) {
	for _, queues := range []int{-1, 0, rss.MaxQueues + 1} {
		if c, err := Default(queues); err == nil {
			t.Errorf("Default(%d) = %v, want an error", queues, c)
		}
	}
}

// Each set of fields applies to its protocol and to no other.
func TestFieldsByProtocol(t *testing.T) {
	for name, c := range map[string]struct {
		set func(*Config, rss.Fields)
		of  func(*NIC) Result
	}{
		"tcp4": {func(c *Config, f rss.Fields) { c.TCP4 = f }, func(n *NIC) Result { return n.ClassifyFlow(flow4) }},
		"udp4": {func(c *Config, f rss.Fields) { c.UDP4 = f }, func(n *NIC) Result { return n.ClassifyFlow(with(flow4, 17)) }},
		"ip4":  {func(c *Config, f rss.Fields) { c.IP4 = f }, func(n *NIC) Result { return n.ClassifyFlow(with(flow4, 1)) }},
		"tcp6": {func(c *Config, f rss.Fields) { c.TCP6 = f }, func(n *NIC) Result { return n.ClassifyFlow(flow6) }},
		"udp6": {func(c *Config, f rss.Fields) { c.UDP6 = f }, func(n *NIC) Result { return n.ClassifyFlow(with(flow6, 17)) }},
		"ip6":  {func(c *Config, f rss.Fields) { c.IP6 = f }, func(n *NIC) Result { return n.ClassifyFlow(with(flow6, 58)) }},
	} {
		config, err := Default(4)
		if err != nil {
			t.Fatal(err)
		}
		all := config
		all.TCP4, all.UDP4, all.IP4, all.TCP6, all.UDP6, all.IP6 = 0, 0, 0, 0, 0, 0
		for _, fields := range []rss.Fields{0, rss.Addresses} {
			c.set(&config, fields)
			check(t, name, config, c.of, fields)
			c.set(&all, fields)
			check(t, name+" alone", all, c.of, fields)
		}
	}
}

func check(t *testing.T, name string, config Config, of func(*NIC) Result, want rss.Fields) {
	t.Helper()
	n, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	r := of(n)
	if r.Fields != want || r.Hashed != (want != 0) || want == 0 && (r.Hash != 0 || r.Queue != 0 || r.Index != 0) {
		t.Errorf("%s hashed on %v: %+v", name, want, r)
	}
}

// The NIC keeps a copy of its setup, and Config gives one.
func TestConfigIsCopied(t *testing.T) {
	config, err := Default(4)
	if err != nil {
		t.Fatal(err)
	}
	n, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	want := n.ClassifyFlow(flow6) // to queue 1
	clear(config.Table)
	clear(n.Config().Table)
	clear(n.Config().Key)
	if got := n.ClassifyFlow(flow6); got != want {
		t.Errorf("after its setup was written to: %+v, want %+v", got, want)
	}
	if n.Config().Key[0] != 0x6d {
		t.Errorf("the key of the NIC was written to")
	}
}

// With zero fields SCTP, ESP and AH are hashed like any other IP packet.
func TestFieldsThatDefer(t *testing.T) {
	for _, protocol := range []packet.Protocol{packet.SCTP, packet.ESP, packet.Authentication} {
		config, err := Default(4)
		if err != nil {
			t.Fatal(err)
		}
		of := func(n *NIC) Result { return n.ClassifyFlow(with(flow4, protocol)) }
		check(t, protocol.String(), config, of, rss.Addresses)
		config.IP4 = 0
		check(t, protocol.String()+" of none", config, of, 0)
		config.SCTP4, config.ESP4, config.AH4 = rss.Ports, rss.Ports, rss.Ports
		check(t, protocol.String()+" by its own", config, of, rss.Ports)
	}
}
