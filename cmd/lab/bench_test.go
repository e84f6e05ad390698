package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"lbctl/bpf/need"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/testbed/report"
)

// smallLive and smallPeers are benchmarks of some seconds.
func smallLive() []string { return []string{"bench", "live", "--seconds", "0.1"} }

func smallPeers() []string {
	return []string{"bench", "peers", "--requests", "400", "--rounds", "2", "--replicas", "3"}
}

// benchmarked runs a benchmark and returns what it printed, which its report must hold too. That the machine
// was too slow is no error here: this test is no measurement.
func benchmarked(t *testing.T, program string, args []string) report.Result {
	t.Helper()
	dir := t.TempDir()
	c := exec.CommandContext(t.Context(), program, append(slices.Clone(args), "--out", dir, "-o", "json")...)
	var log strings.Builder
	c.Stderr = &log
	out, _ := c.Output() // by its code
	var r report.Result
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("exit %d, stdout is not a result: %v\n%s\n%s", c.ProcessState.ExitCode(), err, out, &log)
	}
	if want := map[bool]int{true: cli.ExitDone, false: cli.ExitFailed}[r.Pass]; c.ProcessState.ExitCode() != want {
		t.Errorf("exit %d, want %d", c.ProcessState.ExitCode(), want)
	}
	written, figures, err := report.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if page, err := os.ReadFile(filepath.Join(dir, "report.html")); err != nil || !strings.Contains(string(page), "<svg") {
		t.Errorf("report.html has no figure: %v", err)
	}
	if len(figures) == 0 || len(written.Tables) != len(r.Tables) || len(written.Checks) != len(r.Checks) {
		t.Errorf("the report has %d figures, %d tables, %d checks", len(figures), len(written.Tables), len(written.Checks))
	}
	if all := benchLeft(t, c.Process.Pid); len(all) != 0 {
		t.Errorf("left behind: %v", all)
	}
	return r
}

// benchLeft returns what a benchmark of this process number left behind.
func benchLeft(t *testing.T, pid int) (all []string) {
	t.Helper()
	for _, pattern := range []string{"/run/netns/lbctl-%d-*", "/run/lbctl-lab/%d", "/sys/fs/bpf/lbctl-lab-%d-*", "/run/lbctl-testbed/%d.lock"} {
		found, err := filepath.Glob(fmt.Sprintf(pattern, pid))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// holds checks that the named checks are there, that those marked ! pass, and that those marked ~ do not fail: they
// are undetermined where the machine is not quiet or the rounds are few.
func holds(t *testing.T, checks []report.Check, want ...string) {
	t.Helper()
	var names []string
	for _, c := range checks {
		names = append(names, c.Name)
	}
	for _, name := range want {
		name, must := strings.CutSuffix(name, "!")
		name, may := strings.CutSuffix(name, "~")
		i := slices.Index(names, name)
		if i < 0 {
			t.Errorf("%s is missing in %v", name, names)
		} else if must && !checks[i].Pass || may && checks[i].Outcome() == report.Fail {
			t.Errorf("%s failed: %v, want %v: %s", name, checks[i].Measured, checks[i].Expected, checks[i].Detail)
		}
	}
	if len(checks) != len(want) {
		t.Errorf("checks are %v, want %v", names, want)
	}
}

// first returns the first column of a table.
func first(t report.Table) (cells []string) {
	for _, row := range t.Rows {
		cells = append(cells, fmt.Sprint(row[0]))
	}
	return cells
}

// TestBench runs the benchmarks in small, with one build of the program.
func TestBench(t *testing.T) {
	program := buildProgram(t)
	t.Run("live", func(t *testing.T) { benchLive(t, program) })
	t.Run("peers", func(t *testing.T) { benchPeers(t, program) })
	t.Run("interrupted", func(t *testing.T) { benchInterrupted(t, program) })
	t.Run("killed", func(t *testing.T) { benchKilled(t, program) })
}

// benchLive: every frame that was sent came out, and the balancer counted it.
func benchLive(t *testing.T, program string) {
	r := benchmarked(t, program, smallLive())
	holds(t, r.Checks, "tcp-v4-hit-of-bare", "tcp-v4-diverse-of-bare", "tcp-v6-hit-of-bare", "nothing-lost!", "counters-agree!")
	holds(t, r.Controls, "tcp-v4-hit-slowed~", "tcp-v4-diverse-slowed~", "tcp-v6-hit-slowed~")
	if got := strings.Join(first(r.Tables[0]), " "); got != "tcp-v4-hit tcp-v4-diverse tcp-v6-hit" {
		t.Errorf("scenarios %s", got)
	}
}

// benchPeers: every peer does every work that it takes, with the right bytes and by all replicas.
func benchPeers(t *testing.T, program string) {
	r := benchmarked(t, program, append(smallPeers(), "--peers", "direct,forward,xdp,lbctl,lbctl-generic,nftables,nftables-stateless,haproxy,nginx"))
	holds(t, r.Checks,
		"connections-of-direct", "connections-ahead", "connections-cpu-ahead", "packets-of-direct", "packets-ahead", "packets-cpu-ahead",
		"transfer-of-direct", "transfer-ahead", "transfer-cpu-ahead", "datagrams-ahead", "datagrams-cpu-ahead", "every-peer!", "every-replica!", "untracked!", "no-errors!")
	holds(t, r.Controls, "connections-of-direct-slowed~", "connections-ahead-slowed~", "connections-cpu-ahead-slowed~")
	const peers = "direct forward xdp lbctl lbctl-generic nftables nftables-stateless haproxy nginx"
	for i, want := range []string{peers + " slowed", peers, peers, strings.Replace(peers, "haproxy ", "", 1), "haproxy ipvs nftables-flowtable", peers + " slowed"} {
		if got := strings.Join(first(r.Tables[i]), " "); got != want {
			t.Errorf("table %s has %s, want %s", r.Tables[i].Name, got, want)
		}
	}
	for _, table := range r.Tables[:4] {
		replicas := slices.Index(table.Columns, "replicas")
		for _, row := range table.Rows {
			if fmt.Sprint(row[replicas]) != "3" {
				t.Errorf("%s: %v replicas answered by %v, want 3", table.Name, row[replicas], row[0])
			}
		}
	}
}

// underWay starts a benchmark and waits until a step of it begins.
func underWay(t *testing.T, program string, args []string, step string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, args...)
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if strings.Contains(lines.Text(), step) {
			return c
		}
	}
	t.Fatalf("ended early: %v", c.Wait())
	return nil
}

// long is a benchmark that has begun to measure long before it would end.
func long() []string {
	return []string{"bench", "peers", "--replicas", "2", "--works", "packets", "--rounds", "1000"}
}

// benchInterrupted: after Ctrl-C, whatever it was doing, the exit code is 130 and nothing is left.
func benchInterrupted(t *testing.T, program string) {
	for _, c := range []struct {
		args []string
		step string
	}{{smallLive(), "tcp-v4-hit"}, {long(), "start nftables"}, {long(), "packets: nginx"}} {
		run := underWay(t, program, c.args, c.step)
		if err := run.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if code := exitCode(t, run); code != cli.ExitInterrupted {
			t.Errorf("%s: exit %d, want %d", c.step, code, cli.ExitInterrupted)
		}
		if all := benchLeft(t, run.Process.Pid); len(all) != 0 {
			t.Errorf("%s: left behind: %v", c.step, all)
		}
	}
}

// benchKilled: with a killed one end all processes that it started, and the next one removes what else it left.
func benchKilled(t *testing.T, program string) {
	killed := underWay(t, program, long(), "packets: nginx")
	pid := killed.Process.Pid
	families := children(t, pid)
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	exitCode(t, killed)
	if len(families) < 5 || len(benchLeft(t, pid)) < 4 {
		t.Errorf("the killed one had the children %v and left %v: this test tests nothing", families, benchLeft(t, pid))
	}
	benchmarked(t, program, smallLive())
	if all := benchLeft(t, pid); len(all) != 0 {
		t.Errorf("still there after the next: %v", all)
	}
	for _, child := range families {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", child)); err == nil {
			t.Errorf("process %d of the killed one is still there", child)
		}
	}
}

// children returns the numbers of all that descend from a process.
func children(t *testing.T, of int) (all []int) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", of))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		text, _ := os.ReadFile(list) // the thread has ended
		for _, f := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			all = append(append(all, pid), children(t, pid)...)
		}
	}
	return all
}

// TestBenchBadInput: one line what, one what to do, and nothing on stdout.
func TestBenchBadInput(t *testing.T) {
	need.Root(t)
	w := newWorld(t)
	for line, want := range map[string]struct {
		code       int
		what, hint string
	}{
		"bench lvie":                      {2, `unknown command "lvie"`, "did you mean live?"},
		"bench live now":                  {2, `unexpected argument "now"`, "see lbctl bench live --help"},
		"bench live --seconds ten":        {2, "ten", "see lbctl bench live --help"},
		"bench live --seconds 0":          {2, "seconds=0: want 0.01 to 86400", "see lbctl bench live --help"},
		"bench peers --peers direct,ipvs": {2, `"ipvs" is not known: want some of direct, forward, xdp, lbctl, lbctl-generic, nftables, nftables-stateless, haproxy, nginx`, "see lbctl bench peers --help"},
		"bench peers --works http":        {2, `"http" is not known`, "see lbctl bench peers --help"},
		"bench peers --rounds 0":          {2, "rounds=0: want 1 to 1000", "see lbctl bench peers --help"},
		"bench peers --replicas many":     {2, "replicas=many", "see lbctl bench peers --help"},
		"bench peers -o xml":              {2, `--output: "xml" is not known: want table or json`, "see lbctl bench peers --help"},
		"bench peers --ronuds 3":          {2, "unknown flag --ronuds", "did you mean --rounds?"},
	} {
		code, stdout, stderr := w.Run(strings.Fields(line)...)
		lines := strings.Split(stderr, "\n")
		if code != want.code || stdout != "" || len(lines) != 3 || !strings.Contains(lines[0], want.what) || lines[1] != "  "+want.hint {
			t.Errorf("%s: exit %d, stdout %q, stderr\n%swant %d, %q, %q", line, code, stdout, stderr, want.code, want.what, want.hint)
		}
	}
}

// TestBenchWithoutRoot: denied, and says why.
func TestBenchWithoutRoot(t *testing.T) {
	need.Root(t)
	for _, name := range []string{"live", "peers"} {
		c := exec.CommandContext(t.Context(), "/proc/self/exe", "bench", name)
		c.Env = append(os.Environ(), clitest.AsLbctl+"=1")
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, _ := c.CombinedOutput()
		if code := c.ProcessState.ExitCode(); code != cli.ExitDenied || !strings.Contains(string(out), "run it as root") {
			t.Errorf("bench %s: exit %d, want %d:\n%s", name, code, cli.ExitDenied, out)
		}
	}
}
