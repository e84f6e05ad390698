// Package nictest runs the commands below lbctl rss in tests, over a NIC in memory where they need one.
package nictest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/rss/packet"
)

// Card is a NIC in memory.
type Card struct {
	Settings ethtool.Settings
	// Applied are the changes that were asked for.
	Applied []ethtool.Change
	// Refuses is the driver's error, nil if it accepts changes.
	Refuses error
	// Stubborn is a driver that accepts every change and makes none.
	Stubborn bool
}

// NewCard returns a NIC with four queues and a small table.
func NewCard() *Card {
	return &Card{Settings: ethtool.Settings{
		Interface: "eth0", Driver: "mlx5_core", Channels: &ethtool.Channels{Combined: 4, MaxCombined: 8}, Queues: 4,
		Table: rss.Table{0, 1, 2, 3, 0, 1, 2, 3}, Key: rss.MicrosoftKey(), Functions: []rss.Function{rss.FunctionToeplitz},
		Fields: map[ethtool.FlowType]rss.Fields{ethtool.TCP4: rss.FourTuple, ethtool.UDP4: rss.Addresses}, By: "netlink",
	}}
}

// Interfaces returns the NIC as eth0, and veth0, which has no RSS.
func (k *Card) Interfaces() cli.Interfaces {
	return cli.Interfaces{
		Read: func(name string) (ethtool.Settings, error) {
			switch name {
			case "eth0":
				return k.Settings, nil
			case "veth0":
				return ethtool.Settings{Interface: "veth0", Driver: "veth", Queues: 4}, nil
			}
			return ethtool.Settings{}, fmt.Errorf("read rss of %s: %w", name, ethtool.ErrNoInterface)
		},
		Apply: func(s ethtool.Settings, c ethtool.Change) error {
			k.Applied = append(k.Applied, c)
			after, err := s.After(c)
			switch {
			case k.Refuses != nil:
				return fmt.Errorf("set rss of %s: %w", s.Interface, k.Refuses)
			case err == nil && !k.Stubborn && s.Context != 0:
				*k.context(s.Context) = after
			case err == nil && !k.Stubborn:
				k.Settings = after
			}
			return err
		},
		Context: func(s ethtool.Settings, c ethtool.Context) (ethtool.Settings, error) {
			if one := k.context(c); one != nil {
				return *one, nil
			}
			if c == ethtool.NewContext {
				return ethtool.ReadContext(s, c)
			}
			return s, fmt.Errorf("read rss context %v of %s: %w", c, s.Interface, ethtool.ErrNoContext)
		},
		Create: func(s ethtool.Settings, c ethtool.Change) (ethtool.Context, error) {
			k.Applied = append(k.Applied, c)
			after, err := s.After(c)
			if k.Refuses != nil || err != nil {
				return 0, fmt.Errorf("create rss context of %s: %w", s.Interface, errors.Join(k.Refuses, err))
			}
			after.Context = ethtool.Context(1 + len(k.Settings.Contexts))
			k.Settings.Contexts = append(k.Settings.Contexts, after)
			return after.Context, nil
		},
		Delete: func(_ ethtool.Settings, c ethtool.Context) error {
			k.Settings.Contexts = slices.DeleteFunc(k.Settings.Contexts, func(s ethtool.Settings) bool { return s.Context == c })
			return nil
		},
	}
}

// context returns a context's settings, nil if there is none.
func (k *Card) context(c ethtool.Context) *ethtool.Settings {
	for i := range k.Settings.Contexts {
		if k.Settings.Contexts[i].Context == c {
			return &k.Settings.Contexts[i]
		}
	}
	return nil
}

// VethHabit is what is said of veth0.
const VethHabit = "veth0 (veth) has no RSS: a frame comes in on the queue of the number that its sender's stack picked for sending, " +
	"by the sending core (XPS) or by the kernel's own hash of the flow (siphash, a secret key), modulo the queues"

// Main runs the tests of a package and fails when they leave goroutines behind.
func Main(m *testing.M) { goleak.VerifyTestMain(m) }

// New makes a directory, and runs commands below lbctl rss in it.
func New(t *testing.T, commands ...func(*cli.App) *cobra.Command) *clitest.World {
	t.Helper()
	return clitest.New(t, func(a *cli.App) []*cobra.Command {
		rss := cli.Noun(&cobra.Command{Use: "rss"})
		for _, command := range commands {
			rss.AddCommand(command(a))
		}
		return []*cobra.Command{rss}
	})
}

// Run runs a command below lbctl rss over the NIC in memory, with something on standard input.
func (k *Card) Run(t *testing.T, command func(*cli.App) *cobra.Command, in string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	w := New(t, command)
	w.NICs = k.Interfaces()
	return w.Fed(in, append([]string{"rss"}, args...)...)
}

// Capture returns a pcap file of n flows of falling size, 10 microseconds from packet to packet: flow i has n-i packets.
func Capture(n int) string {
	var b strings.Builder
	b.WriteString("\xd4\xc3\xb2\xa1\x02\x00\x04\x00" + strings.Repeat("\x00", 8) + "\xff\xff\x00\x00\x01\x00\x00\x00")
	at := uint32(0)
	for i := range n {
		frame := packet.Frame{Flow: packet.Flow{
			Source:      netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), uint16(40000+i)),
			Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP,
		}}.Marshal()
		for range n - i {
			for _, word := range []uint32{1_700_000_000, at, uint32(len(frame)), 1500} {
				b.Write(binary.LittleEndian.AppendUint32(nil, word))
			}
			b.Write(frame)
			at += 10
		}
	}
	return b.String()
}
