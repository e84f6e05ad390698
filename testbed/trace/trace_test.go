package trace

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"lbctl/bpf/need"
	"lbctl/testbed/netns"
)

func TestParse(t *testing.T) {
	got, err := parse(strings.NewReader(`# tracer: function
#
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
 kworker/0:1-ev-7       [001] d.s2. 23372.096934: skb_copy_bits <-tpacket_rcv
           <...>-13705   [000] ...1.     0.000001: contention_begin: 000000002c5b9a90 (flags=SPIN|MUTEX)
           <...>-13705   [000] ...1.     0.000002: <stack trace>
 => schedule
 => __lock_sock
##### CPU 1 buffer started ####
             lbctl-9       [000] ..... 12.000000: sys_listen(fd: 3, backlog: 5)
             lbctl-9       [000] ..... 12.000001: sys_listen -> 0x0
`))
	want := []Record{
		{Task: "kworker/0:1-ev", Thread: 7, CPU: 1, Context: "d.s2.", Time: 23372096934 * time.Microsecond, Name: "skb_copy_bits", Caller: "tpacket_rcv"},
		{Task: "<...>", Thread: 13705, Context: "...1.", Time: time.Microsecond, Name: "contention_begin", Text: "000000002c5b9a90 (flags=SPIN|MUTEX)", Stack: []string{"schedule", "__lock_sock"}},
		{Task: "lbctl", Thread: 9, Context: ".....", Time: 12 * time.Second, Name: "sys_listen", Text: "(fd: 3, backlog: 5)"},
		{Task: "lbctl", Thread: 9, Context: ".....", Time: 12*time.Second + time.Microsecond, Name: "sys_listen", Text: "-> 0x0"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("parse, -want +got: %v\n%s", err, diff)
	}
	for _, bad := range []string{"nothing", "a-1 [000] ..... 1.000000: :", "a-1 [000] ..... 99999999999999999999.000000: f <-g"} {
		if got, err := parse(strings.NewReader(bad)); err == nil {
			t.Errorf("parse(%q) = %+v, want an error", bad, got)
		}
	}
}

// instance makes one that is removed after the test.
func instance(t *testing.T) *Instance {
	t.Helper()
	need.Root(t)
	run, err := netns.NewRun()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Close() })
	i, err := New(run.ID(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

// TestEvents: an event of one thread is recorded with its fields. What is done before Start, what does not pass the
// filter, and what other threads do is not.
func TestEvents(t *testing.T) {
	i := instance(t)
	if err := i.Stacks(); err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{"syscalls:sys_enter_getpriority", "syscalls:sys_exit_getpriority"} {
		if err := i.Event(event, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := i.Event("syscalls:sys_enter_getpriority", "which == 2"); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := i.Threads(unix.Gettid()); err != nil {
		t.Fatal(err)
	}
	call := func(which int) { _, _ = unix.Getpriority(which, 0) }
	call(unix.PRIO_USER)
	if err := i.Start(); err != nil {
		t.Fatal(err)
	}
	var other sync.WaitGroup
	other.Go(func() { call(unix.PRIO_USER) }) // on another thread
	other.Wait()
	call(unix.PRIO_PROCESS) // filtered out
	call(unix.PRIO_USER)
	if err := i.Stop(); err != nil {
		t.Fatal(err)
	}
	all, err := i.Read()
	var said []string
	for _, r := range all {
		if len(r.Stack) == 0 {
			t.Errorf("%+v has no stack", r)
		}
		text, _, _ := strings.Cut(r.Text, " 0x") // the result depends on who calls
		said = append(said, r.Name+text)
	}
	if want := []string{"sys_getpriority->", "sys_getpriority(which: 2, who: 0)", "sys_getpriority->"}; err != nil || !slices.Equal(said, want) {
		t.Errorf("records %q, %v, want %q", said, err, want)
	}
	if lost, err := i.Lost(); err != nil || lost != 0 {
		t.Errorf("lost %d, %v", lost, err)
	}
	if err := i.Clear(); err != nil {
		t.Fatal(err)
	}
	if all, err := i.Read(); err != nil || len(all) != 0 {
		t.Errorf("records after Clear: %+v, %v", all, err)
	}
	if err := i.Event("net:no_such_event", ""); err == nil {
		t.Error("an event that does not exist is recorded")
	}
}

// TestLost: a buffer that is too small says so.
func TestLost(t *testing.T) {
	i := instance(t)
	if err := i.Set("buffer_size_kb", "4"); err != nil {
		t.Fatal(err)
	}
	if err := i.Event("syscalls:sys_enter_getpriority", ""); err != nil {
		t.Fatal(err)
	}
	if err := i.Start(); err != nil {
		t.Fatal(err)
	}
	for range 100_000 {
		_, _ = unix.Getpriority(unix.PRIO_USER, 0)
	}
	if lost, err := i.Lost(); err != nil || lost == 0 {
		t.Errorf("lost %d, %v, want some", lost, err)
	}
}

// TestSweep: the instance of a dead run is removed, those of a living one and of somebody else stay.
func TestSweep(t *testing.T) {
	living := instance(t)
	dead := exec.Command("/bin/true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	all, err := instances()
	if err != nil {
		t.Fatal(err)
	}
	left := netns.Prefix + strconv.Itoa(dead.Process.Pid) + "-left"
	other := filepath.Join(all, netns.Prefix+"other-"+strconv.Itoa(os.Getpid()))
	for _, dir := range []string{filepath.Join(all, left), other} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(dir)
	}
	swept, err := Sweep()
	if err != nil || !slices.Contains(swept, left) {
		t.Errorf("swept %v, %v, want %s", swept, err, left)
	}
	for _, dir := range []string{living.dir, other} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("%s was swept", dir)
		}
	}
	if _, err := os.Stat(filepath.Join(all, left)); err == nil {
		t.Errorf("%s is still there", left)
	}
}
