package netstate

import (
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"lbctl/bpf/need"
	"lbctl/lb"
	"lbctl/lb/doctor"
)

// world is a balancer's network namespace, that of the test's thread, and a replica's. A veth goes to clients, cl, whose
// other end, cl-p, is in the same namespace; one goes to the replica, rp, whose other end, rp-p, is there.
type world struct {
	*testing.T
	replica *os.File
}

// newWorld makes both as they should be. They end with the test: its thread is thrown away.
func newWorld(t *testing.T) world {
	t.Helper()
	need.Root(t)
	need.Programs(t, "ip", "ethtool", "sysctl", "nsenter", "ping") // the cures are commands
	runtime.LockOSThread()
	w := world{T: t, replica: unshare(t)}
	w.there("ip link set dev lo up")
	unshare(t)
	w.here("ip link set dev lo up && sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
	w.here("ip link add name cl type veth peer name cl-p && ip link set dev cl up && ip link set dev cl-p up && ip address add 10.0.0.254/24 dev cl")
	w.here("ip link add name rp type veth peer name rp-p address 02:00:00:00:00:01 && ip link set dev rp-p netns /proc/self/fd/3 && ip link set dev rp up && ip address add 10.1.0.254/24 dev rp")
	w.there("ip link set dev rp-p up && ip address add 10.1.0.1/24 dev rp-p && ip route add default via 10.1.0.254")
	w.here("ethtool -K cl-p gro on tx off")
	w.there("ethtool -K rp-p gro on tx off")
	// A neighbour that no change of a link takes away.
	w.here("ip neighbour replace 10.1.0.1 dev rp lladdr 02:00:00:00:00:01 nud permanent")
	return w
}

// unshare puts the thread into a new network namespace, which it returns.
func unshare(t *testing.T) *os.File {
	t.Helper()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal("unshare network namespace:", err)
	}
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// here runs a shell command in the balancer's namespace; there in the replica's. In both, file descriptor 3 is the replica's.
func (w world) here(command string) string { return w.run("sh", "-c", command) }
func (w world) there(command string) string {
	return w.run("nsenter", "--net=/proc/self/fd/3", "sh", "-c", command)
}

func (w world) run(name string, args ...string) string {
	w.Helper()
	c := exec.Command(name, args...)
	c.ExtraFiles = []*os.File{w.replica}
	out, err := c.CombinedOutput()
	if err != nil {
		w.Fatalf("%v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// scope is both interfaces of the balancer.
func scope() Scope {
	return Scope{
		Interfaces: []string{"cl", "rp"},
		VIPs:       []Target{{Address: netip.MustParseAddr("192.0.2.1"), Mode: lb.NAT}},
		Replicas:   []Target{{Address: netip.MustParseAddr("10.1.0.1"), Mode: lb.NAT}},
	}
}

// open returns the findings that are not ok.
func (w world) open(q Scope) []doctor.Finding {
	w.Helper()
	f, err := Gather(q)
	if err != nil {
		w.Fatal(err)
	}
	return slices.DeleteFunc(doctor.Examine(f), func(x doctor.Finding) bool { return x.Severity == doctor.OK })
}

// label names a finding.
func label(x doctor.Finding) string { return string(x.Severity) + " " + x.Subject + " " + x.Name }

func labels(all []doctor.Finding) []string {
	var names []string
	for _, x := range all {
		names = append(names, label(x))
	}
	slices.Sort(names)
	return names
}

// cure runs a finding's cure where it says, with what it leaves to the reader filled in.
func (w world) cure(x doctor.Finding) {
	w.Helper()
	command := strings.NewReplacer("PEER", "rp-p", "via GATEWAY dev IFACE", "dev rp").Replace(x.Cure)
	if x.Where != "" {
		w.there(command)
		return
	}
	w.here(command)
}

// attach attaches a program that passes everything, and holds it by a link until the test is over.
func (w world) attach(name, device string, mode link.XDPAttachFlags) {
	w.Helper()
	q, err := newSnapshot(Scope{})
	if err != nil {
		w.Fatal(err)
	}
	i, err := q.named(device)
	if err != nil {
		w.Fatal(err)
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: w.program(name), Interface: i.Index, Flags: mode})
	if err != nil {
		w.Fatal("attach:", err)
	}
	w.Cleanup(func() { l.Close() })
}

func (w world) program(name string) *ebpf.Program {
	w.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}, // XDP_PASS
	})
	if err != nil {
		w.Fatal("load:", err)
	}
	w.Cleanup(func() { p.Close() })
	return p
}
