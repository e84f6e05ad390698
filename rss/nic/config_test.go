package nic

import (
	"testing"

	"lbctl/rss"
)

func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no key":         func(c *Config) { c.Key = nil },
		"a key too long": func(c *Config) { c.Key = make(rss.Key, rss.MaxKeyLength+1) },
		"no table":       func(c *Config) { c.Table = nil },
		"ports only":     func(c *Config) { c.TCP4 = rss.SourcePort | rss.DestinationPort },
		"udp6 source":    func(c *Config) { c.UDP6 = rss.SourceAddress },
		"ports of ip":    func(c *Config) { c.IP4 = rss.FourTuple },
		"ports of ip6":   func(c *Config) { c.IP6 = rss.FourTuple },
		"unknown field":  func(c *Config) { c.TCP6 = 1 },
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

// Each field of the set-up decides for its protocol and for no other.
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

// The NIC keeps a copy of its set-up, and Config gives one.
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
		t.Errorf("after its set-up was written to: %+v, want %+v", got, want)
	}
	if n.Config().Key[0] != 0x6d {
		t.Errorf("the key of the NIC was written to")
	}
}
