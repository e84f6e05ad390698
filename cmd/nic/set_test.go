package nic

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/ethtool"
)

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
	k := newCard()
	code, stdout, stderr := rssRun(t, k, flowLines(), "set", "eth0", "--equal", "2", "--fields", "udp4=sdfn", "--dry-run", "--flows", "-")
	moved := moving(t, k.settings, &rss.TablePlan{Equal: 2})
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
	if len(k.applied) != 0 {
		t.Errorf("a dry run set %+v", k.applied)
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
	k := newCard()
	code, stdout, stderr := rssRun(t, k, "", "set", "eth0", "--weight", "3,1", "--key", "symmetric", "-o", "json")
	var got setAnswer
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != cli.ExitDone || stderr != "" {
		t.Fatalf("exit %d, %v, stderr %s", code, err, stderr)
	}
	symmetric, _ := rss.Named("symmetric")
	want := setAnswer{
		Interface: "eth0", Entries: 8, Changed: 6, Rehashed: true,
		Commands: []string{"ethtool -X eth0 hkey " + symmetric.String() + " weight 3 1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(rss.Table{0, 0, 0, 0, 0, 0, 1, 1}, k.settings.Table); diff != "" || k.settings.Key.String() != symmetric.String() {
		t.Errorf("table -want +got:\n%s key %v", diff, k.settings.Key)
	}
	if code, _, stderr := rssRun(t, k, "", "set", "eth0", "--default"); code != cli.ExitDone || k.settings.Table[3] != 3 {
		t.Errorf("default: exit %d, %s, table %v", code, stderr, k.settings.Table)
	}
}

func TestRSSSetFails(t *testing.T) {
	refused := newCard()
	refused.refuses = fmt.Errorf("%w: %w", ethtool.ErrRefused, syscall.EOPNOTSUPP)
	denied := newCard()
	denied.refuses = syscall.EPERM
	stubborn := newCard()
	stubborn.stubborn = true
	for _, c := range []struct {
		k    *card
		code int
		what string
	}{
		{refused, cli.ExitFailed, "set rss of eth0: refused"},
		{denied, cli.ExitDenied, "set rss of eth0: operation not permitted"},
		{stubborn, cli.ExitFailed, "set rss of eth0: the driver took the table, but now tells another"},
	} {
		code, stdout, stderr := rssRun(t, c.k, "", "set", "eth0", "--equal", "2")
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
	code, _, stderr := rssRun(t, newCard(), "tcp 192.0.2.1:1 198.51.100.1:80\nnonsense\n", "set", "eth0", "--equal", "2", "--flows", "-")
	if code != cli.ExitUsage || !strings.HasPrefix(stderr, `lbctl: stdin:2: "nonsense": want tcp or udp`) {
		t.Errorf("exit %d, %s", code, stderr)
	}
	var own *cli.Failure
	if err := cli.AdviseInterface(ethtool.ErrNoInterface); !errors.As(err, &own) || own.Code != cli.ExitNotFound {
		t.Errorf("%v", err)
	}
}
