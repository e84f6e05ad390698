package load_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"lbctl/bpf"
	"lbctl/bpf/load"
	"lbctl/bpf/need"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// mmapable is BPF_F_MMAPABLE of linux/bpf.h.
const mmapable = 1 << 10

// collection loads the decapsulation program, and a table like the balancer's, whose making the library probes for.
func collection() error {
	spec, err := bpf.LoadDecap()
	if err != nil {
		return err
	}
	for _, m := range spec.Maps {
		m.Pinning = ebpf.PinNone
	}
	spec.Maps["table"] = &ebpf.MapSpec{Name: "table", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 16, Flags: mmapable}
	all, err := load.All(spec)
	if err == nil {
		all.Close()
	}
	return err
}

// explained checks that an error is of a kind, that what happened and what helps are a line each, and that the first
// has some words and not the library's guesses.
func explained(t *testing.T, err error, kind load.Kind, words ...string) {
	t.Helper()
	var e *load.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Errorf("%v, want an error of kind %d", err, kind)
		return
	}
	for _, line := range []string{err.Error(), e.Hint()} {
		if strings.Contains(line, "\n") || len(line) > 500 || line == "" || strings.Contains(line, "MEMLOCK may") || strings.Contains(line, "not supported") {
			t.Errorf("no short line, or a guess: %q", line)
		}
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// onThread runs f on a thread of its own, which ends with it.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		f()
	}()
	<-done
}

// Without capabilities those that are missing are named; with some, only the others.
func TestMissingCapabilities(t *testing.T) {
	need.Root(t)
	for kept, want := range map[int]string{-1: "CAP_BPF and CAP_PERFMON and CAP_NET_ADMIN", unix.CAP_NET_ADMIN: "CAP_BPF and CAP_PERFMON:"} {
		var err error
		onThread(func() {
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var data [2]unix.CapUserData
			if kept >= 0 {
				data[kept/32].Effective, data[kept/32].Permitted = 1<<(kept%32), 1<<(kept%32)
			}
			if err = unix.Capset(&header, &data[0]); err == nil {
				err = collection()
			}
		})
		explained(t, err, load.Denied, "lacks "+want)
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%v is not fs.ErrPermission", err)
		}
	}
}

// A seccomp filter, as container engines set it, is named.
func TestSeccomp(t *testing.T) {
	need.Root(t)
	var err error
	onThread(func() {
		const denyAll, allow = 0x00050000 | uint32(unix.EPERM), 0x7fff0000 // SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW
		filter := []unix.SockFilter{
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the system call's number
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_BPF},
			{Code: unix.BPF_RET | unix.BPF_K, K: denyAll},
			{Code: unix.BPF_RET | unix.BPF_K, K: allow},
		}
		program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, 1 /* SECCOMP_SET_MODE_FILTER */, 0, uintptr(unsafe.Pointer(&program)))
		if errno != 0 {
			err = errno
			return
		}
		err = collection()
	})
	explained(t, err, load.Denied, "seccomp")
}

// A table that no machine has room for.
func TestTooLarge(t *testing.T) {
	need.Root(t)
	for _, flags := range []uint32{0, mmapable} {
		_, err := load.Map(&ebpf.MapSpec{Name: "huge", Type: ebpf.Array, KeySize: 4, ValueSize: 1 << 22, MaxEntries: 1 << 26, Flags: flags}, ebpf.MapOptions{})
		var e *load.Error
		if errors.As(err, &e) && e.Kind == load.Failed {
			explained(t, err, load.Failed, "larger than the kernel takes")
			continue
		}
		explained(t, err, load.Exhausted, "no memory")
	}
}

// Of ten thousand lines of the verifier the last is quoted. Its EACCES is no lack of privilege.
func TestRejected(t *testing.T) {
	need.Root(t)
	var long asm.Instructions
	for range 10_000 {
		long = append(long, asm.Mov.Imm(asm.R0, 1))
	}
	long = append(long, asm.LoadMem(asm.R0, asm.R1, 4096, asm.DWord), asm.Return())
	spec := ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{"wrong": {Name: "wrong", Type: ebpf.XDP, License: "GPL", Instructions: long}}}
	_, err := load.All(&spec)
	explained(t, err, load.Rejected, "verifier", "invalid bpf_context access")
	if errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v is fs.ErrPermission", err)
	}
}

// inChild runs a test of this program in a process of its own, because what it changes is the whole process's.
func inChild(t *testing.T, attributes *syscall.SysProcAttr) (child bool) {
	t.Helper()
	need.Root(t)
	if os.Getenv("LBCTL_CHILD") == t.Name() {
		return true
	}
	c := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.v", "-test.run=^"+t.Name()+"$")
	c.Env = append(os.Environ(), "LBCTL_CHILD="+t.Name())
	c.SysProcAttr = attributes
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
	return false
}

// However many descriptors are left, as long as they are too few: that is the cause.
func TestNoDescriptorLeft(t *testing.T) {
	if !inChild(t, nil) {
		return
	}
	// The library caches what its first probe found.
	short, long := 0, uint64(0)
	for limit := uint64(8); long == 0 && limit < 128; limit++ {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: 1024}); err != nil {
			t.Fatal(err)
		}
		err := collection()
		if err == nil {
			long = limit
			continue
		}
		short++
		explained(t, err, load.Exhausted, "no file descriptor is left", fmt.Sprintf("may have %d ", limit))
	}
	if short < 5 || long == 0 {
		t.Errorf("%d limits were too low, %d is enough", short, long)
	}
}

// RLIMIT_MEMLOCK, which the library blames, plays no role.
func TestNoLockedMemory(t *testing.T) {
	if !inChild(t, nil) {
		return
	}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{}); err != nil {
		t.Fatal(err)
	}
	if err := collection(); err != nil {
		t.Error(err)
	}
}

// The root of a user namespace has all capabilities, and none that bpf(2) counts.
func TestUserNamespace(t *testing.T) {
	if os.Getenv("LBCTL_CHILD") == "" {
		if _, err := os.Stat("/proc/self/ns/user"); err != nil {
			t.Skip("this kernel has no user namespaces")
		}
	}
	one := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
	if !inChild(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: one, GidMappings: one}) {
		return
	}
	explained(t, collection(), load.Denied, "user namespace")
}
