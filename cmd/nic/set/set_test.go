package set

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/cli"
	"lbctl/cmd/nic/nictest"
	"lbctl/rss"
	"lbctl/rss/ethtool"
)

func TestMain(m *testing.M) { nictest.Main(m) }

// flowLines are 300 flows, one a line.
func flowLines() string {
	var s strings.Builder
	s.WriteString("# flows\n\n")
	for i := range 300 {
		fmt.Fprintf(&s, "tcp 192.0.2.%d:%d > 198.51.100.1:80\n", 1+i%200, 1024+i)
	}
	return s.String()
}

func TestRSSSetDryRun(t *testing.T) {
	k := nictest.NewCard()
	code, stdout, stderr := k.Run(t, Command, flowLines(), "set", "eth0", "--equal", "2", "--fields", "udp4=sdfn", "--dry-run", "--flows", "-")
	moved := moving(t, k.Settings, &rss.TablePlan{Equal: 2})
	want := fmt.Sprintf(`ethtool -X eth0 equal 2
ethtool -N eth0 rx-flow-hash udp4 sdfn
4 of 8 entries of the indirection table change
%d of 300 live flows move to another queue
dry run: nothing was changed
`, moved)
	if diff := cmp.Diff(want, stdout); diff != "" || code != cli.ExitDone || stderr != "" {
		t.Errorf("exit %d, stderr %s, -want +got:\n%s", code, stderr, diff)
	}
	if moved < 100 || moved > 200 {
		t.Errorf("%d of 300 flows move: half of the entries change", moved)
	}
	if len(k.Applied) != 0 {
		t.Errorf("a dry run set %+v", k.Applied)
	}
}

// moving counts by hand, from the model's tables.
func moving(t *testing.T, before ethtool.Settings, plan *rss.TablePlan) (n int) {
	t.Helper()
	after, err := before.After(ethtool.Change{Table: plan})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(flowLines()) {
		if flow, err := flowOfLine(strings.TrimSpace(line)); err == nil {
			hash := rss.Toeplitz(before.Key, rss.AppendTuple(nil, flow.Source, flow.Destination))
			if before.Table[hash%8] != after.Table[hash%8] {
				n++
			}
		}
	}
	return n
}

func TestRSSSet(t *testing.T) {
	k := nictest.NewCard()
	code, stdout, stderr := k.Run(t, Command, "", "set", "eth0", "--weight", "3,1", "--key", "symmetric", "-o", "json")
	var got answer
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != cli.ExitDone || stderr != "" {
		t.Fatalf("exit %d, %v, stderr %s", code, err, stderr)
	}
	symmetric, _ := rss.Named("symmetric")
	want := answer{
		Interface: "eth0", Entries: 8, Changed: 6, Rehashed: true,
		Commands: []string{"ethtool -X eth0 hkey " + symmetric.String() + " weight 3 1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(rss.Table{0, 0, 0, 0, 0, 0, 1, 1}, k.Settings.Table); diff != "" || k.Settings.Key.String() != symmetric.String() {
		t.Errorf("table -want +got:\n%s key %v", diff, k.Settings.Key)
	}
	if code, _, stderr := k.Run(t, Command, "", "set", "eth0", "--default"); code != cli.ExitDone || k.Settings.Table[3] != 3 {
		t.Errorf("default: exit %d, %s, table %v", code, stderr, k.Settings.Table)
	}
}

func TestRSSSetFails(t *testing.T) {
	refused := nictest.NewCard()
	refused.Refuses = fmt.Errorf("%w: %w", ethtool.ErrRefused, syscall.EOPNOTSUPP)
	denied := nictest.NewCard()
	denied.Refuses = syscall.EPERM
	stubborn := nictest.NewCard()
	stubborn.Stubborn = true
	for _, c := range []struct {
		k    *nictest.Card
		code int
		what string
	}{
		{refused, cli.ExitFailed, "set rss of eth0: refused"},
		{denied, cli.ExitDenied, "set rss of eth0: operation not permitted"},
		{stubborn, cli.ExitFailed, "set rss of eth0: the driver accepted the table, but reports another"},
	} {
		code, stdout, stderr := c.k.Run(t, Command, "", "set", "eth0", "--equal", "2")
		if code != c.code || !strings.HasPrefix(stderr, "lbctl: "+c.what) || stdout != "" {
			t.Errorf("exit %d, want %d; stdout %q, stderr %s want %s", code, c.code, stdout, stderr, c.what)
		}
	}
}

func TestFlowOfLine(t *testing.T) {
	for line, want := range map[string]string{
		"tcp 192.0.2.1:1 198.51.100.1:80":               "tcp 192.0.2.1:1 > 198.51.100.1:80",
		"udp  [2001:db8::1]:53 > [2001:db8::2]:4000":    "udp [2001:db8::1]:53 > [2001:db8::2]:4000",
		"tcp [::ffff:192.0.2.1]:1 > 198.51.100.1:80":    "tcp 192.0.2.1:1 > 198.51.100.1:80",
		"tcp 192.0.2.1:1":                               "",
		"sctp 192.0.2.1:1 198.51.100.1:80":              "",
		"tcp 192.0.2.1 198.51.100.1:80":                 "",
		"tcp 192.0.2.1:65536 198.51.100.1:80":           "",
		"tcp 192.0.2.1:1 [2001:db8::2]:80":              "",
		"tcp 192.0.2.1:1 198.51.100.1:80 and something": "",
	} {
		got, err := flowOfLine(line)
		if (err != nil) != (want == "") || err == nil && got.String() != want {
			t.Errorf("%q: %v, %v, want %q", line, got, err, want)
		}
	}
	code, _, stderr := nictest.NewCard().Run(t, Command, "tcp 192.0.2.1:1 198.51.100.1:80\nnonsense\n", "set", "eth0", "--equal", "2", "--flows", "-")
	if code != cli.ExitUsage || !strings.HasPrefix(stderr, `lbctl: stdin:2: "nonsense": want tcp or udp`) {
		t.Errorf("exit %d, %s", code, stderr)
	}
	var own *cli.Failure
	if err := cli.AdviseInterface(ethtool.ErrNoInterface); !errors.As(err, &own) || own.Code != cli.ExitNotFound {
		t.Errorf("%v", err)
	}
}

func TestRSSSetRefuses(t *testing.T) {
	k := nictest.NewCard()
	w := nictest.New(t, Command)
	w.NICs = k.Interfaces()
	see := "see lbctl rss set --help"
	for _, c := range []struct {
		line       string
		code       int
		what, hint string
	}{
		{"eth9 --equal 2", 3, "read rss of eth9: no such interface", "name an interface that ip link shows in this network namespace"},
		{"eth0", 2, "nothing to set: want --equal, --weight, --default, --fill, --key, --function, --transform or --fields", see},
		{"eth0 --equal 2 --default", 2, "--equal, --weight and --default: want one of them", see},
		{"eth0 --equal 0", 2, "--equal: 0 queues: want at least 1", see},
		{"eth0 --start 1", 2, "--start: want --equal or --weight with it", see},
		{"eth0 --equal 5", 2, `set rss of eth0: indirection table "equal 5" names queue 4: want 0 to 3`, see},
		{"eth0 --key abcd", 2, "--key: rss key of 2 bytes: want 40 to 256", see},
		{"eth0 --key " + strings.Repeat("ab", 52), 2, "set rss of eth0: rss key of 52 bytes: eth0 (mlx5_core) takes 40", see},
		{"eth0 --fields tcp4", 2, `--fields: "tcp4": want FLOWTYPE=LETTERS, as in tcp4=sdfn`, see},
		{"eth0 --fields sctp4=sd", 2, "set rss of eth0: hash fields of sctp4: eth0 (mlx5_core) neither reports nor accepts them", see},
		{"veth0 --equal 2", 1, "set rss of veth0: no rss: " + nictest.VethHabit, "name a NIC with RSS; lbctl rss show IFACE says what an interface has"},
		{"eth0 --equal 2 --flows /none", 3, "open /none: no such file or directory", "name a file of flows, one a line: tcp 192.0.2.1:1234 198.51.100.1:80"},
	} {
		w.Refused("rss set "+c.line, c.code, c.what, c.hint)
	}
	if len(k.Applied) != 0 {
		t.Errorf("something was set: %+v", k.Applied)
	}
}

// The real kernel refuses to set RSS of the loopback interface.
func TestRSSSetLoopback(t *testing.T) {
	if code, _, stderr := nictest.New(t, Command).Run("rss", "set", "lo", "--equal", "1"); code != cli.ExitFailed || stderr == "" {
		t.Errorf("set lo: exit %d, %s", code, stderr)
	}
}

// The whole table from a file, the function and the transform are set and read back.
func TestRSSSetWhole(t *testing.T) {
	k := nictest.NewCard()
	file := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(file, []byte(`{"table":[3,3,2,2,1,1,0,0]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := k.Run(t, Command, "", "set", "eth0", "--fill", "@"+file, "--function", "xor", "--transform", "symmetric-xor")
	if code != cli.ExitDone || !slices.Equal(k.Settings.Table, rss.Table{3, 3, 2, 2, 1, 1, 0, 0}) || k.Settings.Transform != rss.SymmetricXOR ||
		!slices.Equal(k.Settings.Functions, []rss.Function{rss.FunctionXOR}) {
		t.Errorf("exit %d, %s%s: %+v", code, stdout, stderr, k.Settings)
	}
	for _, want := range []string{"ethtool -X eth0 hfunc xor xfrm symmetric-xor\n", "ynl --family ethtool --do rss-set", "flows get other hashes"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is missing in\n%s", want, stdout)
		}
	}
	for what, args := range map[string][]string{
		"table": {"--fill", "@" + file}, "hash function": {"--function", "crc32"}, "input transform": {"--transform", "none"},
	} {
		k.Stubborn = true
		k.Settings.Table = rss.Table{0, 1, 2, 3, 0, 1, 2, 3}
		code, _, stderr := k.Run(t, Command, "", append([]string{"set", "eth0"}, args...)...)
		if code != cli.ExitFailed || !strings.Contains(stderr, "the driver accepted the "+what+", but reports another") {
			t.Errorf("a driver that keeps its %s: exit %d, %s", what, code, stderr)
		}
	}
}

// TestObserveVeryBriefly: an observation that is over before it begins sees nothing, and ends well.
func TestObserveVeryBriefly(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a packet socket needs root")
	}
	a := &cli.App{Environment: cli.Environment{Stderr: io.Discard, Stdout: io.Discard}}
	for _, duration := range []time.Duration{1, 40} {
		if flows, err := observeFlows(a, t.Context(), "lo", duration); err != nil || flows == nil {
			t.Errorf("%v: %v, %v", duration, flows, err)
		}
	}
}
