package flood

import (
	"context"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"lbctl/bpf/need"
	"lbctl/rss/packet"
	"lbctl/testbed/netns"
)

func sender(t *testing.T, c Config) *Sender {
	t.Helper()
	s := &Sender{config: c}
	for n := range c.To {
		made, err := s.template(n)
		if err != nil {
			t.Fatal(err)
		}
		s.templates = append(s.templates, made)
	}
	return s
}

func config() Config {
	return Config{
		Link: netns.Link{MAC: []byte{2, 0, 0, 0, 0, 1}}, Gateway: packet.MAC{2, 0, 0, 0, 0, 2},
		To:   []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:80"), netip.MustParseAddrPort("192.0.2.1:81")},
		From: netip.MustParsePrefix("11.0.0.0/8"), Flows: 1 << 24, Flags: packet.SYN,
	}
}

// Every frame is the one that the general builder makes of the same flow, checksums included.
func TestFramesAreAsBuilt(t *testing.T) {
	s := sender(t, config())
	var got [frameLength]byte
	for n := range uint64(10_000) {
		s.write(got[:], n*1677) // all over the 24 bits
		want := packet.Frame{
			Source: packet.MAC(s.config.Link.MAC), Destination: s.config.Gateway, Flow: s.Flow(n * 1677), Flags: packet.SYN,
		}.Marshal()
		if string(got[:]) != string(want) {
			t.Fatalf("frame %d:\n% x\nwant\n% x", n*1677, got, want)
		}
	}
}

func TestSourcesAreDifferent(t *testing.T) {
	c := config()
	c.Flows = 1 << 20
	s := sender(t, c)
	seen := map[[4]byte]bool{}
	for n := range c.Flows {
		address, port := s.source(n)
		if seen[address] || port < 1024 || !c.From.Contains(netip.AddrFrom4(address)) {
			t.Fatalf("flow %d is from %v:%d, for the second time: %v", n, address, port, seen[address])
		}
		seen[address] = true
	}
	if a, b := s.Flow(3), s.Flow(3+c.Flows); a.Source != b.Source {
		t.Errorf("flows %v and %v, want one source", a, b)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no destination": func(c *Config) { c.To = nil },
		"no network":     func(c *Config) { c.From = netip.Prefix{} },
		"ipv6":           func(c *Config) { c.From = netip.MustParsePrefix("2001:db8::/120") },
		"too many flows": func(c *Config) { c.Flows = 1<<24 + 1 },
		"negative rate":  func(c *Config) { c.Rate = -1 },
	} {
		c := config()
		if err := c.validate(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if c.validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The link takes exactly as many frames as are said to be sent.
func TestSentIsWhatTheLinkTook(t *testing.T) {
	need.Root(t)
	run, err := netns.NewRun()
	check(t, err)
	defer func() { check(t, run.Close()) }()
	a, err := run.Make("a")
	check(t, err)
	b, err := run.Make("b")
	check(t, err)
	link, _, err := netns.Veth(netns.End{Namespace: a, Name: "wire"}, netns.End{Namespace: b, Name: "host"}, 0)
	check(t, err)
	c := config()
	c.Link = link
	s, err := Open(c)
	check(t, err)
	before := transmitted(t, link)
	const frames = 50_001
	check(t, s.Send(t.Context(), 5, frames))
	check(t, s.Close())
	if s.Sent() != frames || transmitted(t, link)-before != frames {
		t.Errorf("sent %d, the link took %d; want %d", s.Sent(), transmitted(t, link)-before, frames)
	}
}

// A sender that keeps to a rate ends with its context, and has not sent more than the rate allows.
func TestRateAndCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := pace{rate: 1000, start: time.Now()}
	check(t, p.wait(ctx, 0))
	check(t, p.wait(ctx, 20))
	if early := time.Since(p.start); early < 20*time.Millisecond {
		t.Errorf("frame 20 of 1000 a second after %v", early)
	}
	cancel()
	if p.wait(ctx, 1<<40) == nil {
		t.Error("went on after the end of the context")
	}
}

// transmitted returns how many frames a link took: a column of /proc/net/dev.
func transmitted(t *testing.T, l netns.Link) (n uint64) {
	t.Helper()
	check(t, l.Namespace().Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/dev")
		if err != nil {
			return err
		}
		_, columns, _ := strings.Cut(string(text), l.Name+":")
		n, err = strconv.ParseUint(strings.Fields(columns)[9], 10, 64)
		return err
	}))
	return n
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
