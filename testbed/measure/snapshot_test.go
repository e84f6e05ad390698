package measure

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const procStat = `cpu  100 20 300 4000 50 6 70 8 9 10
cpu0 50 10 150 2000 25 3 35 4 4 5
cpu1 50 10 150 2000 25 3 35 4 5 5
intr 12345 0 0
ctxt 678
`

func TestMachine(t *testing.T) {
	m, err := parseMachine(procStat)
	if err != nil {
		t.Fatal(err)
	}
	want := machine{cores: 2, idle: (4000 + 50) * tick, stolen: 8 * tick, interrupts: (6 + 70) * tick}
	if m != want {
		t.Errorf("machine %+v, want %+v", m, want)
	}
}

func TestMachineRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":      "",
		"no cores":     "cpu  1 2 3 4 5 6 7 8\n",
		"a short line": "cpu  1 2 3\ncpu0 1\n",
		"a word":       strings.Replace(procStat, "4000", "many", 1),
		"a minus":      strings.Replace(procStat, "4000", "-4", 1),
	} {
		if m, err := parseMachine(text); err == nil {
			t.Errorf("%s: accepted as %+v", name, m)
		}
	}
}

const line = "4711 (a) name (x)) S 12 4711 4711 0 -1 4194304 100 200 0 0 31 7 5 3 20 0 1 0 8 1 1 1\n"

func TestProcess(t *testing.T) {
	p, err := parseProcess(line)
	if err != nil {
		t.Fatal(err)
	}
	if want := (process{pid: 4711, parent: 12, used: 8 * tick}); p != want {
		t.Errorf("process %+v, want %+v", p, want)
	}
	thread := strings.Replace(line, "4194304", "2129984", 1) // as of kthreadd: 0x208040
	if p, err := parseProcess(thread); err != nil || !p.kernel {
		t.Errorf("a kernel thread: %+v, %v", p, err)
	}
}

func TestProcessRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":     "",
		"no name":     "4711 S 12",
		"cut":         line[:40],
		"no number":   strings.Replace(line, "4711 (", "x (", 1),
		"no parent":   strings.Replace(line, "S 12", "S x", 1),
		"a bad time":  strings.Replace(line, " 5 3 ", " 5 x ", 1),
		"a bad flag":  strings.Replace(line, "4194304", "-4", 1),
		"name at end": "4711 (name)",
	} {
		if p, err := parseProcess(text); err == nil {
			t.Errorf("%s: accepted as %+v", name, p)
		}
	}
}

// family is a snapshot of: 10 > 11 > 12, a stranger, and a thread of the kernel.
func family() Snapshot {
	s := Snapshot{machine: machine{cores: 2, interrupts: 1000}, processes: map[int]process{}}
	for _, p := range []process{
		{pid: 1, used: 1}, {pid: 2, kernel: true, used: 16},
		{pid: 10, parent: 1, used: 2}, {pid: 11, parent: 10, used: 4}, {pid: 12, parent: 11, used: 8},
		{pid: 20, parent: 1, used: 32}, {pid: 30, parent: 31, used: 64}, {pid: 31, parent: 30, used: 128},
	} {
		s.processes[p.pid] = p
	}
	return s
}

func TestWhoseTime(t *testing.T) {
	s := family()
	if got := s.Tree(10); got != 2+4+8 {
		t.Errorf("tree of 10 used %d, want 14", got)
	}
	if got := s.Tree(99); got != 0 {
		t.Errorf("tree of nobody used %d", got)
	}
	if got := s.Of(11); got != 4 {
		t.Errorf("11 used %d, want 4", got)
	}
	if got := s.Below(10); got != 4+8+16 {
		t.Errorf("below 10: %d, want that of 11, 12 and the kernel: 28", got)
	}
	s.irqTime = true
	if got := s.Below(10); got != 1028 {
		t.Errorf("below 10 with interrupts apart: %d, want 1028", got)
	}
}

func TestBusy(t *testing.T) {
	start := time.Now()
	before := Snapshot{at: start, machine: machine{cores: 2, idle: time.Second}}
	after := Snapshot{at: start.Add(time.Second), machine: machine{cores: 2, idle: 1500 * time.Millisecond}}
	if got := after.Busy(before); got != 1500*time.Millisecond {
		t.Errorf("busy %v of 2 s with half a second free, want 1.5 s", got)
	}
}

// TestTake: this machine's /proc is understood.
func TestTake(t *testing.T) {
	s, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	if s.machine.cores < 1 || len(s.processes) < 1 || s.Tree(1) == 0 {
		t.Errorf("%d cores, %d processes, of which the first has used %v", s.machine.cores, len(s.processes), s.Tree(1))
	}
}

// TestBelowIsWhatChildrenUsed: what a child used is what the kernel says at its end, and while it lives it is
// in Below, softirqs that it caused included; not so what this process itself uses.
func TestBelowIsWhatChildrenUsed(t *testing.T) {
	child := exec.CommandContext(t.Context(), "sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done; read x")
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	before, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	after, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	_ = stdin.Close()
	_ = child.Wait() // it has nothing to read
	used := child.ProcessState.UserTime() + child.ProcessState.SystemTime()
	tree := after.Tree(child.Process.Pid)
	if tree < used/2 || tree > used {
		t.Errorf("the child used %v of %v before it was done", tree, used)
	}
	kernel := after.Below(-1) - before.Below(-1)
	if got := after.Below(os.Getpid()) - before.Below(os.Getpid()) - kernel; got != tree {
		t.Errorf("below this process %v were used, want %v, the child's", got, tree)
	}
}
