package service_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
)

// refused are lines that are refused, in a world with a pool that is used and a replica that is set down, where eth9 is
// wanted and missing, and eth8 was at the first revision.
const refused = `attach eth7
attach eth9
detach eth7
detach eth1
service add web --vip 192.0.2.9:80
service add new --vip 192.0.2.1:80
service add new --vip 192.0.2.9:80 --replica 10.0.0.1:8080
service add new --vip 192.0.2.9:80 --pool none
service add new --vip 192.0.2.9:80 --scheduler modulo --replica 10.0.0.9:80,weight=2
service set none --idle 30m
service set web --vip 192.0.2.2:80
service remove none
delete service none
delete pool none
delete pool backends
delete interface eth7
drain web 10.9.9.9:80
drain none 10.0.0.1:8080
drain --host 10.9.9.9
down web 10.9.9.9:80
up none 10.0.0.1:8080
undrain web 10.0.0.2:8080
weight web 10.9.9.9:80 3
weight web 10.0.0.1:8080 3
take-back none
take-back web 10.9.9.9:80
apply -f DIR/eth7.yaml
apply -f DIR/limits.yaml
apply -f DIR/wrong.yaml
apply -f DIR/world.yaml --revision 77
apply -f DIR/world.yaml --take-back=none
rollback 77
rollback 1
edit`

const world = clitest.WebConfig + `  - {name: pooled, vip: 192.0.2.2:80, pool: backends}
pools: [{name: backends, replicas: [{address: 10.0.0.5}]}]
`

// A dry run refuses what the command itself refuses, with the same words, whatever the verb: there are lines of all of them.
func TestDryRunsRefuse(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	t.Setenv("TMPDIR", w.Dir) // where edit leaves what is not applied
	w.Env = map[string]string{"LBCTL_EDITOR": "sed -i s/eth0/eth7/"}
	missing := strings.Replace(world, "  - name: eth0\n", "  - name: eth0\n  - name: eth9\n  - name: eth8\n", 1)
	w.Serve("-f", w.Write("world.yaml", missing))
	w.Write("eth7.yaml", strings.ReplaceAll(missing, "eth0", "eth7"))
	w.Write("limits.yaml", missing+"datapath: {limits: {slots: 4096}}\n")
	w.Write("wrong.yaml", strings.Replace(missing, "192.0.2.2:80", "192.0.2.1:80", 1))
	w.OK("apply", "-f", w.Write("world.yaml", strings.Replace(missing, "  - name: eth8\n", "", 1)))
	w.OK("down", "web", "10.0.0.2:8080")
	before := w.OK("get", "revisions", "-o", "json")
	for line := range strings.Lines(refused) {
		refuses(t, w, line)
	}
	w.Env["LBCTL_EDITOR"] = editing(t, w)
	refuses(t, w, "edit")
	if after := w.OK("get", "revisions", "-o", "json"); after == before {
		t.Error("the editor has changed nothing")
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		name := strings.TrimPrefix(c.CommandPath(), "lbctl ")
		if c.Flags().Lookup("dry-run") != nil && !strings.Contains("\n"+refused+" ", "\n"+name+" ") && !strings.HasSuffix(refused, "\n"+name) {
			t.Errorf("%s has a dry run, and no line here", name)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	a := &cli.App{Environment: w.Environment(t.Context())}
	walk(a.Root(balance.Commands(a)...))
}

// changing are the names and numbers that differ from run to run.
var changing = regexp.MustCompile(`\S*lbctl-edit-\d+\S*|revision \d+`)

func refuses(t *testing.T, w *clitest.World, line string) {
	t.Helper()
	var told [2]string
	for n, dry := range [][]string{{"--dry-run"}, nil} {
		code, stdout, stderr := w.Run(append(w.Line(line), dry...)...)
		if told[n] = fmt.Sprintf("exit %d, %s%s", code, stdout, changing.ReplaceAllString(stderr, "IT")); code == cli.ExitDone {
			t.Errorf("lbctl %s %v is not refused", strings.TrimSpace(line), dry)
		}
	}
	if told[0] != told[1] {
		t.Errorf("lbctl %s\nas a dry run: %selse: %s", strings.TrimSpace(line), told[0], told[1])
	}
}

// editing returns an editor that changes the configuration, as somebody else would, and the text.
func editing(t *testing.T, w *clitest.World) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := w.Write("edit.sh", fmt.Sprintf(`export %s=1 LBCTL_SOCKET=%s
idle=4$(grep -c . %s/edits)m && echo >>%s/edits "$idle"
%s service set dns --idle "$idle" >/dev/null && sed -i s/192.0.2.1:80/192.0.2.1:81/ "$1"
`, clitest.AsLbctl, w.Path("s"), w.Dir, w.Dir, self))
	w.Write("edits", "one\ntwo\n")
	return "/bin/sh " + script
}
