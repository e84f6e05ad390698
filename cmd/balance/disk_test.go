package balance

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/lb/testns"
	"lbctl/rss/packet"
)

// smallDisk mounts a file system of 256 KiB for the state.
func smallDisk(k *killed) {
	k.T.Helper()
	state := k.Path("state")
	must(k.T, os.Mkdir(state, 0o700), unix.Mount("tmpfs", state, "tmpfs", 0, "size=256k,mode=700"))
	k.T.Cleanup(func() { must(k.T, unix.Unmount(state, unix.MNT_DETACH)) })
}

// resolve makes the next hops of the replicas known.
func (k *killed) resolve() {
	k.T.Helper()
	l, err := netlink.LinkByName("eth0")
	must(k.T, err)
	for host := 1; host <= 2; host++ {
		testns.Neighbour(k.T, l, fmt.Sprintf("10.0.0.%d", host))
	}
}

// forwards checks that a packet to a service leaves, by a run of the pinned program, whether a daemon runs or not.
func (k *killed) forwards(when string) {
	k.T.Helper()
	const redirected = 4 // XDP_REDIRECT
	p, err := ebpf.LoadPinnedProgram(filepath.Join(k.pins, "lb"), nil)
	must(k.T, err)
	defer p.Close()
	f := packet.Frame{Flow: packet.Flow{Source: netip.MustParseAddrPort("198.51.100.7:40000"), Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP}, Flags: packet.SYN}
	if action, err := p.Run(&ebpf.RunOptions{Data: f.Marshal(), DataOut: make([]byte, 512)}); err != nil || action != redirected {
		k.T.Errorf("%s: a packet to the service has XDP action %d, %v", when, action, err)
	}
}

// is checks that the configuration is one, and that the kernel has it.
func (k *killed) is(want api.Config, when string) {
	k.T.Helper()
	is, _, err := k.client.Config(k.T.Context())
	if must(k.T, err); textOf(k.T, is) != textOf(k.T, want) {
		k.T.Errorf("%s: the configuration is\n%.500s want\n%.500s", when, textOf(k.T, is), textOf(k.T, want))
	}
	if v, err := k.client.Verify(k.T.Context(), false); err != nil || v.Found > 0 {
		k.T.Errorf("%s: %+v, %v", when, v, err)
	}
	k.forwards(when)
}

// On a full disk a change is refused with what, where and what to do, and nothing of it is done; packets are forwarded, also when
// the daemon starts again there. When there is room, changes are done.
func TestFullDisk(t *testing.T) {
	k := newKilled(t, smallDisk)
	k.resolve()
	filler := k.Path("state/filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); !os.IsExist(err) && err == nil {
		t.Fatal("the disk is not full")
	}
	now, _, err := k.client.Config(t.Context())
	must(t, err)
	refused := func(when string) {
		t.Helper()
		for n := range 20 { // the file has some room that it was made with
			next := now
			next.Services = append([]api.Service{large(n)}, now.Services...)
			if _, err = k.client.Apply(t.Context(), next); err != nil {
				break
			}
			now = next
			now.Services = now.Services[1:]
			if _, err = k.client.DeleteService(t.Context(), "large", false); err != nil {
				now = next
				break
			}
		}
		var told interface{ Hint() string }
		for _, want := range []string{"state.db", "no space left on device"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("%s: the change was answered %v, want %q", when, err, want)
			}
		}
		if told, _ = err.(interface{ Hint() string }); told == nil || told.Hint() != "free space on the file system of "+k.Path("state") {
			t.Errorf("%s: %v says nothing of what to do", when, err)
		}
		k.is(now, when)
	}
	refused("on a full disk")
	for _, by := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		k.end(by)
		k.start()
		refused(fmt.Sprint("after a start there, after ", by))
	}
	must(t, os.Remove(filler))
	next := changed(now, 0)
	_, err = k.client.Apply(t.Context(), next)
	must(t, err)
	k.is(next, "with room")
	k.end(syscall.SIGKILL)
	k.start()
	k.is(next, "with room, after a start")
}

// large is a service whose record takes a part of the disk.
func large(n int) api.Service {
	s := api.Service{Name: "large", VIP: "192.0.2.99:80", Scheduler: "modulo"}
	for r := range 250 {
		s.Replicas = append(s.Replicas, api.Replica{Address: fmt.Sprintf("10.9.%d.%d:80", n, r+1)})
	}
	return s
}

// A start over a state that cannot be read, or may not be, says what is wrong, where and what to do. It changes neither the file nor
// what is forwarded; after the cure it starts.
func TestBadState(t *testing.T) {
	k := newKilled(t, smallDisk)
	k.resolve()
	now, _, err := k.client.Config(t.Context())
	must(t, err)
	k.end(syscall.SIGTERM)
	dir, file := k.Path("state"), k.Path("state/state.db")
	good, err := os.ReadFile(file)
	must(t, err)
	used := len(bytes.TrimRight(good, "\x00"))
	t.Logf("%d of %d bytes are used", used, len(good))
	refused := func(what string, code int, wants ...string) {
		t.Helper()
		before, errBefore := os.ReadFile(file)
		got, _, stderr := k.Run("serve", "--state-dir", dir, "--pin-dir", k.pins)
		lines := strings.SplitN(stderr, "\n", 2)
		for _, want := range append(wants, "DIR/state") {
			if got != code || !strings.Contains(stderr, want) || len(lines) != 2 || len(lines[1]) < 10 {
				t.Errorf("%s: exit %d, want %d and %q: %s", what, got, code, want, stderr)
			}
		}
		if after, err := os.ReadFile(file); !bytes.Equal(before, after) || fmt.Sprint(err) != fmt.Sprint(errBefore) {
			t.Errorf("%s: the file is changed", what)
		}
		k.forwards(what)
	}
	write := func(text []byte) { must(t, os.WriteFile(file, text, 0o600)) }
	for _, at := range []int{0, 1, 9, 20, 40, 63, 512, 513, used / 2, used - 1} {
		bad := bytes.Clone(good)
		bad[at] ^= 0x5a
		write(bad)
		refused(fmt.Sprint("byte ", at), cli.ExitConflict, "damaged", "restore the file from a backup; or move it away")
	}
	for size := 0; size < len(good); size += 4096 {
		for _, size := range []int{size, size + 1, size + 511} {
			write(good[:size])
			refused(fmt.Sprint("cut to ", size), cli.ExitConflict, "damaged", "restore the file from a backup; or move it away")
		}
	}
	write(good)
	remount := func(flags uintptr) { must(t, unix.Mount("", dir, "", unix.MS_REMOUNT|flags, "")) }
	remount(unix.MS_RDONLY)
	refused("on a read-only disk", cli.ExitFailed, "read-only file system", "mount -o remount,rw")
	remount(0)
	must(t, os.Remove(file))
	remount(unix.MS_RDONLY)
	refused("without a file on a read-only disk", cli.ExitFailed, "read-only file system", "mount -o remount,rw")
	dir += "/none"
	refused("without a directory on a read-only disk", cli.ExitFailed, "read-only file system", "mount -o remount,rw")
	dir = k.Path("state")
	remount(0)
	write(good)
	for _, c := range []struct {
		what         string
		make, unmake func() error
		words        string
	}{
		{"a file that all may write", func() error { return os.Chmod(file, 0o666) }, func() error { return os.Chmod(file, 0o600) }, "chmod"},
		{"a file of another", func() error { return os.Chown(file, 1, 1) }, func() error { return os.Chown(file, 0, 0) }, "chown root"},
		{"a directory that all may write", func() error { return os.Chmod(dir, 0o777) }, func() error { return os.Chmod(dir, 0o700) }, "chmod go-w"},
		{"a directory of another", func() error { return os.Chown(dir, 1, 1) }, func() error { return os.Chown(dir, 0, 0) }, "chown root"},
	} {
		must(t, c.make())
		refused(c.what, cli.ExitDenied, c.words)
		must(t, c.unmake())
	}
	k.start()
	k.is(now, "after all")
}
