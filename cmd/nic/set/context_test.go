package set

import (
	"slices"
	"strings"
	"testing"

	"lbctl/cmd/cli"
	"lbctl/cmd/nic/nictest"
	"lbctl/cmd/nic/show"
	"lbctl/rss"
)

// A context is created, shown, changed and deleted.
func TestRSSSetContext(t *testing.T) {
	k := nictest.NewCard()
	own := slices.Clone(k.Settings.Table)
	run := func(want string, args ...string) {
		t.Helper()
		code, stdout, stderr := k.Run(t, Command, "", append([]string{"set", "eth0"}, args...)...)
		if code != cli.ExitDone || !strings.HasPrefix(stdout, want) {
			t.Errorf("%v: exit %d, %s\n%s, want\n%s", args, code, stderr, stdout, want)
		}
	}
	run("ethtool -X eth0 context new equal 2\na context with a table of 8 entries\ndry run", "--context", "new", "--equal", "2", "--dry-run")
	if len(k.Settings.Contexts) != 0 {
		t.Fatalf("a dry run created %+v", k.Settings.Contexts)
	}
	run("ethtool -X eth0 context new\ncontext 1 is created", "--context", "new")
	run("ethtool -X eth0 context 1 start 2 equal 1\n6 of 8 entries of the table of context 1 change\n", "--context", "1", "--equal", "1", "--start", "2")
	one := k.Settings.Contexts[0]
	if !slices.Equal(one.Table, rss.Table{2, 2, 2, 2, 2, 2, 2, 2}) || !slices.Equal(k.Settings.Table, own) {
		t.Errorf("context 1 %v, the interface's own %v", one.Table, k.Settings.Table)
	}
	_, stdout, _ := k.Run(t, show.Command, "", "show", "eth0")
	if want := "    udp4: sd\nRSS context 1:\n    0:      2     2     2     2     2     2     2     2\n"; !strings.HasSuffix(stdout, want) {
		t.Errorf("shown\n%s, want at the end\n%s", stdout, want)
	}
	run("ethtool -X eth0 context 1 delete\ndry run", "--context", "1", "--delete", "--dry-run")
	run("ethtool -X eth0 context 1 delete\ncontext 1 is deleted\n", "--context", "1", "--delete")
	if len(k.Settings.Contexts) != 0 {
		t.Errorf("left: %+v", k.Settings.Contexts)
	}
}

func TestRSSSetContextRefuses(t *testing.T) {
	k := nictest.NewCard()
	w := nictest.New(t, Command)
	w.NICs = k.Interfaces()
	see := "see lbctl rss set --help"
	for _, c := range []struct {
		line       string
		code       int
		what, hint string
	}{
		{"eth0 --context 1 --equal 2", 3, "read rss context 1 of eth0: no such rss context", "see lbctl rss show IFACE, or create one: lbctl rss set IFACE --context new"},
		{"eth0 --context 1 --delete", 3, "read rss context 1 of eth0: no such rss context", "see lbctl rss show IFACE, or create one: lbctl rss set IFACE --context new"},
		{"eth0 --context 1", 2, "nothing to set: want --equal, --weight, --default, --fill, --key, --function, --transform or --fields", see},
		{"eth0 --context 0 --equal 2", 2, `--context: "0": want the number of an additional context, or new`, see},
		{"eth0 --context 4294967295 --equal 2", 2, `--context: "4294967295": want the number of an additional context, or new`, see},
		{"eth0 --delete", 2, "--delete: want --context with it", see},
		{"eth0 --context new --delete", 2, "--delete: want the number of a context, and nothing to set", see},
		{"eth0 --context 1 --delete --equal 2", 2, "--delete: want the number of a context, and nothing to set", see},
		{"eth0 --context new --default", 2, "--default: a context has no default table, want --equal", see},
		{"eth0 --context new --observe 1s", 2, "--observe and --flows: flow rules decide which flows come to a context", see},
		{"eth0 --context new --equal 5", 2, `set rss context new of eth0: indirection table "equal 5" names queue 4: want 0 to 3`, see},
	} {
		w.Refused("rss set "+c.line, c.code, c.what, c.hint)
	}
	if len(k.Applied) != 0 || len(k.Settings.Contexts) != 0 {
		t.Errorf("something was set: %+v, %+v", k.Applied, k.Settings.Contexts)
	}
	// The real kernel has no contexts for the loopback interface.
	if code, _, stderr := nictest.New(t, Command).Run("rss", "set", "lo", "--context", "new"); code != cli.ExitFailed || stderr == "" {
		t.Errorf("lo: exit %d, %s", code, stderr)
	}
}
