package datapath

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/lb/testns"
	"lbctl/rss/packet"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
)

var exact = []cmp.Option{cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}

// A second process finds what the first has written, and writes nothing.
func TestAdopt(t *testing.T) {
	inNamespace(t)
	testns.Veth(t, "up", "10.1.0.1/24")
	dir := testns.PinDir(t)
	first := open(t, Options{Dir: dir})
	want := []lb.Service{
		web("192.0.2.1:80", "10.1.0.2:8080", "10.1.0.3:8080"),
		web("192.0.2.2:80"),
	}
	want[0].Scheduler, want[0].TableSize, want[0].Replicas[1].Weight = lb.Maglev, 251, 3
	for _, s := range want {
		if err := first.SetService(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := first.Attach(t.Context(), "up", lb.Auto); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := open(t, Options{Dir: dir})
	got, err := second.Services()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, exact...); diff != "" {
		t.Error("services after a restart (-want +got):", diff)
	}
	if got, want := attached(t, "up"), programID(t, second); got != want {
		t.Errorf("the interface runs program %d after a restart, want the new one, %d", got, want)
	}
	interfaces, err := second.Interfaces()
	if err != nil || len(interfaces) != 1 || interfaces[0].Name != "up" || interfaces[0].Mode != lb.Native {
		t.Errorf("interfaces after a restart: %v, %v", interfaces, err)
	}
}

// attached returns the id of the program on an interface.
func attached(t *testing.T, name string) uint32 {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil || l.Attrs().Xdp == nil {
		t.Fatal("no program on", name, err)
	}
	return l.Attrs().Xdp.ProgId
}

func programID(t *testing.T, d *Datapath) uint32 {
	t.Helper()
	info, err := d.Program().Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	return uint32(id)
}

// Reverse NAT entries are taken over too: answers are returned, and the replicas are in use.
func TestAdoptReverseNAT(t *testing.T) {
	inNamespace(t)
	l := testns.Veth(t, "up", "10.1.0.1/24")
	testns.Neighbour(t, l, "10.1.0.9")
	o := Options{Dir: testns.PinDir(t)}
	first := open(t, o)
	if err := first.SetService(t.Context(), web("192.0.2.1:80", "10.1.0.2:8080")); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := open(t, o)
	answer := packet.Flow{Source: netip.MustParseAddrPort("10.1.0.2:8080"), Destination: netip.MustParseAddrPort("10.1.0.9:1234"), Protocol: packet.TCP}
	x, err := second.Explain(lb.Probe{Flow: answer})
	if err != nil || x.Reason != lb.Returned || x.Rewritten.Source != netip.MustParseAddrPort("192.0.2.1:80") {
		t.Errorf("an answer: %+v, %v", x, err)
	}
	v, err := send(second.Program(), l.Attrs().Index, packet.Frame{Flow: answer}.Marshal())
	if err != nil || v.Action != oracle.Transmit {
		t.Errorf("an answer in the kernel: %v, %v, want it sent back", v.Action, err)
	}
	if err := second.SetService(t.Context(), web("192.0.2.2:80", "10.1.0.2:8080")); !errors.Is(err, lb.ErrConflict) {
		t.Errorf("the same replica under another VIP: %v, want a conflict", err)
	}
}

func TestExplain(t *testing.T) {
	inNamespace(t)
	l := testns.Veth(t, "up", "10.1.0.1/24")
	mac := testns.Neighbour(t, l, "10.1.0.2")
	d := open(t, Options{})
	if err := d.SetService(t.Context(), web("192.0.2.1:80", "10.1.0.2:8080")); err != nil {
		t.Fatal(err)
	}
	x, err := d.Explain(lb.Probe{Flow: packet.Flow{Source: netip.MustParseAddrPort("198.51.100.7:1234"), Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: 6}})
	if err != nil {
		t.Fatal(err)
	}
	if x.Reason != lb.Forwarded || x.NextHop.Destination != mac || x.NextHop.Interface != "up" {
		t.Errorf("explained %+v", x)
	}
}

// inNamespace puts the test's thread into a network namespace of its own that forwards packets.
func inNamespace(t testing.TB) {
	t.Helper()
	testns.Enter(t)
	testns.Sysctl(t, "net/ipv4/ip_forward", "1")
	testns.Sysctl(t, "net/ipv6/conf/all/forwarding", "1")
}

// open opens a datapath in a pin directory of its own.
func open(t testing.TB, o Options) *Datapath {
	t.Helper()
	if o.Dir == "" {
		o.Dir = testns.PinDir(t)
	}
	d, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return d
}

func web(vip string, replicas ...string) lb.Service {
	s := lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort(vip), Protocol: 6}}
	for _, r := range replicas {
		s.Replicas = append(s.Replicas, lb.Replica{Address: netip.MustParseAddrPort(r)})
	}
	return s.WithDefaults()
}

// What the tables take of the process's memory goes by what is in use at the moment: little while a change, an audit or a start goes
// on, and next to nothing when a tick has passed since.
func TestMappedTables(t *testing.T) {
	inNamespace(t)
	before, o := mappedBytes(t), Options{Dir: testns.PinDir(t), manualClock: true}
	check := func(what string, most int) {
		t.Helper()
		if is := mappedBytes(t) - before; is > most {
			t.Errorf("%s: %d KiB of the tables are mapped, want at most %d", what, is>>10, most>>10)
		}
	}
	const busy, idle = 20 << 20, 2 << 20
	d := open(t, o)
	check("empty tables", busy)
	s, _ := hundred(lb.TrackChanges)
	s.Mode = lb.DSR
	slots := 0
	for i := range byte(40) {
		s.VIP.Address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, i}), 80)
		if err := d.SetService(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		slots += int(s.Slots())
		check("a service is set", busy)
	}
	if slots*int(unsafe.Sizeof(bpf.LbSlot{})) < busy {
		t.Fatalf("%d slots are too few for this test", slots)
	}
	for round := range 2 {
		if round > 0 {
			closed(t, d)
			d = open(t, o)
		}
		check("opened", busy)
		if found, err := d.Verify(t.Context(), true); err != nil || found.Found > 0 {
			t.Errorf("verify: %+v, %v", found, err)
		}
		check("verified", busy)
		if _, err := d.Flows(); err != nil {
			t.Error("flows:", err)
		}
		services, err := d.Services()
		if err != nil {
			t.Error("services:", err)
		}
		if _, err := d.NextHops(services); err != nil {
			t.Error("next hops:", err)
		}
		if _, err := d.Counters(); err != nil {
			t.Error("counters:", err)
		}
		check("read", busy)
		if err := d.sweep(tick); err != nil {
			t.Error("sweep:", err)
		}
		check(fmt.Sprintf("a tick later, in round %d", round), idle)
	}
}

// mappedBytes returns how much of BPF maps is mapped into this process.
func mappedBytes(t *testing.T) (all int) {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	ofMap := false
	for line := range strings.Lines(string(smaps)) {
		switch fields := strings.Fields(line); {
		case !strings.HasSuffix(fields[0], ":"):
			ofMap = strings.Contains(line, "bpf-map")
		case ofMap && fields[0] == "Rss:":
			kib, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			all += kib << 10
		}
	}
	return all
}

// A link whose MTU is too large for the driver's XDP is refused in mode native. Mode auto takes generic, and
// logs why.
func TestAttachLargeMTU(t *testing.T) {
	inNamespace(t)
	l := testns.Veth(t, "jumbo")
	peer, err := netlink.LinkByName("jumbo-peer")
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []netlink.Link{peer, l} {
		if err := netlink.LinkSetMTU(end, 9000); err != nil {
			t.Fatal(err)
		}
	}
	d := open(t, Options{})
	_, err = d.Attach(t.Context(), "jumbo", lb.Native)
	if !errors.Is(err, lb.ErrUnsupported) || !strings.Contains(err.Error(), "MTU 9000") {
		t.Errorf("native: %v, want the MTU named", err)
	}
	got, err := d.Attach(t.Context(), "jumbo", lb.Auto)
	if err != nil || got.Mode != lb.Generic {
		t.Errorf("auto: %+v, %v, want generic", got, err)
	}
}

// attachedTo opens a datapath with a service that is attached to interfaces, and closes it.
func attachedTo(t *testing.T, o Options, names ...string) (program uint32) {
	t.Helper()
	d := open(t, o)
	if err := d.SetService(t.Context(), web("192.0.2.1:80", "10.1.0.2:80")); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		testns.Veth(t, name)
		if _, err := d.Attach(t.Context(), name, lb.Auto); err != nil {
			t.Fatal(err)
		}
	}
	program = programID(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return program
}

// A program that fails its self-test is not put under a link; the old one goes on.
func TestSelfTestRefuses(t *testing.T) {
	drop := asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}
	pass := asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}
	for name, instructions := range map[string]asm.Instructions{"drops all": drop, "passes all": pass} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			o := Options{Dir: testns.PinDir(t)}
			old := attachedTo(t, o, "up")
			broken := o
			broken.edit = func(s *ebpf.CollectionSpec) {
				p := s.Programs[bpf.LbProgLb]
				p.Instructions = slices.Clone(instructions)
			}
			d, err := Open(t.Context(), broken)
			if err == nil {
				d.Close()
				t.Fatal("a broken program was opened")
			}
			if !strings.Contains(err.Error(), "self-test") {
				t.Errorf("open a broken program: %v, want the self-test named", err)
			}
			if got := attached(t, "up"); got != old {
				t.Errorf("program %d is attached, want the old one, %d", got, old)
			}
			second := open(t, o)
			if got, err := second.Services(); err != nil || len(got) != 1 {
				t.Errorf("services of the next start: %v, %v", got, err)
			}
		})
	}
}

// Another program that passes its self-test replaces the old one.
func TestSelfTestPasses(t *testing.T) {
	inNamespace(t)
	o := Options{Dir: testns.PinDir(t)}
	old := attachedTo(t, o, "up")
	o.edit = func(s *ebpf.CollectionSpec) {
		p := s.Programs[bpf.LbProgLb]
		p.Instructions = slices.Insert(p.Instructions, 1, asm.Mov.Imm(asm.R0, 0))
	}
	d := open(t, o)
	if known, err := d.links.hook.IsPinned(d.objects.Lb); err != nil || !known {
		t.Errorf("the new program is pinned: %v, %v", known, err)
	}
	if got := attached(t, "up"); got == old || got != programID(t, d) {
		t.Errorf("program %d is attached, want the new one, %d", got, programID(t, d))
	}
}

// stubborn is a link that keeps its program.
type stubborn struct{ link.Link }

var errStubborn = errors.New("stubborn")

func (stubborn) Update(*ebpf.Program) error { return errStubborn }
