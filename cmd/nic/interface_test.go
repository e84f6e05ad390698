package nic

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/ethtool"
)

// card is a NIC in memory with a driver's habits.
type card struct {
	settings ethtool.Settings
	applied  []ethtool.Change
	refuses  error
	// stubborn takes every change and makes none.
	stubborn bool
}

// newCard is a NIC with four queues and a small table.
func newCard() *card {
	return &card{settings: ethtool.Settings{
		Interface: "eth0", Driver: "mlx5_core", Channels: &ethtool.Channels{Combined: 4, MaxCombined: 8}, Queues: 4,
		Table: rss.Table{0, 1, 2, 3, 0, 1, 2, 3}, Key: rss.MicrosoftKey(), Functions: []rss.Function{rss.FunctionToeplitz},
		Fields: map[ethtool.FlowType]rss.Fields{ethtool.TCP4: rss.FourTuple, ethtool.UDP4: rss.Addresses}, By: "netlink",
	}}
}

// interfaces are the NIC, and a veth that has no RSS.
func (k *card) interfaces() cli.Interfaces {
	return cli.Interfaces{
		Read: func(name string) (ethtool.Settings, error) {
			switch name {
			case "eth0":
				return k.settings, nil
			case "veth0":
				return ethtool.Settings{Interface: "veth0", Driver: "veth", Queues: 4}, nil
			}
			return ethtool.Settings{}, fmt.Errorf("read rss of %s: %w", name, ethtool.ErrNoInterface)
		},
		Apply: func(s ethtool.Settings, c ethtool.Change) error {
			k.applied = append(k.applied, c)
			after, err := s.After(c)
			switch {
			case k.refuses != nil:
				return fmt.Errorf("set rss of %s: %w", s.Interface, k.refuses)
			case err == nil && !k.stubborn:
				k.settings = after
			}
			return err
		},
	}
}

// rssRun runs lbctl rss over a NIC in memory.
func rssRun(t *testing.T, k *card, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	env := newWorld(t).Environment(t.Context())
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(stdin), &out, &errs
	nics := k.interfaces()
	env.Args = append([]string{"rss"}, args...)
	code = cli.Run(env, func(a *cli.App) []*cobra.Command {
		return []*cobra.Command{cli.Noun(&cobra.Command{Use: "rss"}, showCommand(a, nics), setCommand(a, nics), verifyCommand(a, nics))}
	})
	return code, out.String(), errs.String()
}

func TestInterfaceErrors(t *testing.T) {
	for _, c := range []struct {
		args       []string
		code       int
		what, hint string
	}{
		{[]string{"show"}, 2, "missing IFACE", "see lbctl rss show --help"},
		{[]string{"show", "eth9"}, 3, "read rss of eth9: no such interface", "name an interface that ip link shows in this network namespace"},
		{[]string{"set", "eth9", "--equal", "2"}, 3, "read rss of eth9: no such interface", "name an interface that ip link shows in this network namespace"},
		{[]string{"verify", "eth9"}, 3, "read rss of eth9: no such interface", "name an interface that ip link shows in this network namespace"},
		{[]string{"set", "eth0"}, 2, "nothing to set: want --equal, --weight, --default, --key or --fields", "see lbctl rss set --help"},
		{[]string{"set", "eth0", "--equal", "2", "--default"}, 2, "--equal, --weight and --default: want one of them", "see lbctl rss set --help"},
		{[]string{"set", "eth0", "--equal", "0"}, 2, "--equal: 0 queues: want at least 1", "see lbctl rss set --help"},
		{[]string{"set", "eth0", "--start", "1"}, 2, "--start: want --equal or --weight with it", "see lbctl rss set --help"},
		{[]string{"set", "eth0", "--equal", "5"}, 2, `set rss of eth0: indirection table "equal 5" names queue 4: want 0 to 3`, "see lbctl rss set --help"},
		{[]string{"set", "eth0", "--key", "abcd"}, 2, "--key: rss key of 2 bytes: want 40 to 256", "see lbctl rss set --help"},
		{[]string{"set", "eth0", "--key", strings.Repeat("ab", 52)}, 2, "set rss of eth0: rss key of 52 bytes: eth0 (mlx5_core) takes 40", "see lbctl rss set --help"},
		{[]string{"set", "eth0", "--fields", "tcp4"}, 2, `--fields: "tcp4": want FLOWTYPE=LETTERS, as in tcp4=sdfn`, "see lbctl rss set --help"},
		{[]string{"set", "eth0", "--fields", "sctp4=sd"}, 2, "set rss of eth0: hash fields of sctp4: eth0 (mlx5_core) does not tell nor take them", "see lbctl rss set --help"},
		{[]string{"set", "veth0", "--equal", "2"}, 1, "set rss of veth0: no rss: " + vethHabit, "name a NIC with RSS; lbctl rss show IFACE says what an interface has"},
		{[]string{"verify", "veth0"}, 1, "model of veth0: no rss: " + vethHabit, "to compare it with a model all the same: --key, --queues, --table"},
		{[]string{"verify", "eth0", "--mode", "fast"}, 2, `--mode: "fast" is not known: want auto, native, generic or socket`, "see lbctl rss verify --help"},
		{[]string{"verify", "eth0", "--for", "-1s"}, 2, "--for: -1s is negative", "see lbctl rss verify --help"},
		{[]string{"verify", "eth0", "--key", "abcd"}, 2, "--key: rss key of 2 bytes: want 40 to 256", "see lbctl rss verify --help"},
		{[]string{"set", "eth0", "--equal", "2", "--flows", "/none"}, 3, "open /none: no such file or directory", "name a file of flows, one a line: tcp 192.0.2.1:1234 198.51.100.1:80"},
	} {
		k := newCard()
		code, stdout, stderr := rssRun(t, k, "", c.args...)
		if want := "lbctl: " + c.what + "\n  " + c.hint + "\n"; stderr != want || code != c.code || stdout != "" {
			t.Errorf("%v: exit %d, want %d; stdout %q, stderr\n%swant\n%s", c.args, code, c.code, stdout, stderr, want)
		}
		if len(k.applied) != 0 {
			t.Errorf("%v: something was set", c.args)
		}
	}
}

const vethHabit = "veth0 (veth) has no RSS: a frame comes in on the queue of the number that its sender's stack picked for sending, " +
	"by the sending core (XPS) or by the kernel's own hash of the flow (siphash, a secret key), modulo the queues"

// The real kernel's answers to what every machine has.
func TestRealInterfaces(t *testing.T) {
	w := newWorld(t)
	if got := w.OK("rss", "show", "lo"); got != "lo (a driver without a name) has one receive queue and no RSS: everything goes there\n" {
		t.Errorf("lo: %s", got)
	}
	if code, _, stderr := w.Run("rss", "show", "none0"); code != cli.ExitNotFound {
		t.Errorf("none0: exit %d, %s", code, stderr)
	}
	if code, _, stderr := w.Run("rss", "set", "lo", "--equal", "1"); code != cli.ExitFailed || stderr == "" {
		t.Errorf("set lo: exit %d, %s", code, stderr)
	}
}
