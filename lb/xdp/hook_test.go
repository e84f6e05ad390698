package xdp_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"lbctl/lb"
	"lbctl/lb/testns"
	"lbctl/lb/xdp"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// open makes a pin directory and opens its hook, which is closed when the test is over.
func open(t *testing.T, dir string) *xdp.Hook {
	t.Helper()
	if err := xdp.MakeDir(dir); err != nil {
		t.Fatal(err)
	}
	h, err := xdp.Open(dir, "program")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return h
}

func attach(t *testing.T, h *xdp.Hook, p *ebpf.Program, name string, mode lb.AttachMode) error {
	t.Helper()
	device, err := xdp.Device(name)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Attach(p, device, mode)
	return err
}

// runs checks which program the interfaces have.
func runs(t *testing.T, want string, names ...string) {
	t.Helper()
	for _, name := range names {
		if got, _ := testns.Attached(t, name); got != want {
			t.Errorf("%s has the program %q, want %q", name, got, want)
		}
	}
}

// What one process attaches the next one adopts, swaps and detaches.
func TestAdopt(t *testing.T) {
	testns.Enter(t)
	dir := testns.PinDir(t)
	first := open(t, dir)
	old := testns.Program(t, "old")
	testns.Veth(t, "gone")
	up := testns.Veth(t, "up")
	for _, name := range []string{"up", "gone", "up"} {
		if err := attach(t, first, old, name, lb.Auto); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(first.PinProgram(old), first.Close()); err != nil {
		t.Fatal(err)
	}
	runs(t, "old", "up", "gone")
	gone, err := netlink.LinkByName("gone")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(gone); err != nil {
		t.Fatal(err)
	}

	second := open(t, dir)
	want := []lb.Interface{{Name: "up", Index: up.Attrs().Index, Mode: lb.Native}}
	if got, err := second.Interfaces(); err != nil || !cmp.Equal(want, got) {
		t.Errorf("adopted %v, %v, want %v", got, err, want)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("pins: %v, %v, want the program and one link", left, err)
	}
	if err := second.Swap(testns.Program(t, "new")); err != nil {
		t.Fatal(err)
	}
	runs(t, "new", "up")
	pinned, err := second.Pinned()
	if err != nil {
		t.Fatal(err)
	}
	defer pinned.Close()
	if info, err := pinned.Info(); err != nil || info.Name != "new" {
		t.Errorf("pinned: %v, %v, want new", info, err)
	}
	if same, err := second.IsPinned(old); err != nil || !same { // other names, same instructions
		t.Errorf("the pinned program has the same instructions: %v, %v", same, err)
	}
	if err := second.Detach(up); err != nil {
		t.Fatal(err)
	}
	runs(t, "", "up")
	if err := second.Detach(up); !errors.Is(err, lb.ErrNotFound) {
		t.Errorf("detach again: %v", err)
	}
}

// The link of an interface that was deleted is forgotten, so that another one that gets its index is not taken
// for attached.
func TestIndexReused(t *testing.T) {
	testns.Enter(t)
	dir := testns.PinDir(t)
	h, p := open(t, dir), testns.Program(t, "ours")
	first := testns.Veth(t, "first")
	if err := attach(t, h, p, "first", lb.Auto); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(first); err != nil {
		t.Fatal(err)
	}
	next := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "next", Index: first.Attrs().Index}, PeerName: "peer"}
	if err := netlink.LinkAdd(next); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Interfaces(); err != nil || len(got) > 0 {
		t.Errorf("attached: %v, %v, want none", got, err)
	}
	if lost, err := h.Sync(); err != nil || len(lost) != 1 {
		t.Errorf("lost %v, %v, want one", lost, err)
	}
	if pins, err := os.ReadDir(dir); err != nil || len(pins) > 0 {
		t.Errorf("pins: %v, %v, want none", pins, err)
	}
	if err := h.Detach(next); !errors.Is(err, lb.ErrNotFound) {
		t.Errorf("detach: %v, want lb.ErrNotFound", err)
	}
	if err := attach(t, h, p, "next", lb.Auto); err != nil {
		t.Fatal(err)
	}
	runs(t, "ours", "next")
}

// An interface that is held, or that the driver cannot serve, is refused with a reason.
func TestAttachRefused(t *testing.T) {
	testns.Enter(t)
	h, p := open(t, testns.PinDir(t)), testns.Program(t, "ours")
	testns.Veth(t, "up")
	testns.Veth(t, "jumbo")
	testns.SetMTU(t, "jumbo", 9000)
	held := testns.Veth(t, "held")
	other, err := link.AttachXDP(link.XDPOptions{Program: testns.Program(t, "theirs"), Interface: held.Attrs().Index})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	if err := attach(t, h, p, "up", lb.Native); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		device string
		mode   lb.AttachMode
		want   error
		says   string
	}{
		"another program": {"held", lb.Auto, lb.ErrConflict, `held already has the XDP program "theirs"`},
		"another mode":    {"up", lb.Generic, lb.ErrConflict, "up is attached in mode native"},
		"a large MTU":     {"jumbo", lb.Native, lb.ErrUnsupported, "MTU 9000"},
	} {
		if err := attach(t, h, p, c.device, c.mode); !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: %v, want %v that says %s", name, err, c.want, c.says)
		}
	}
	if _, err := xdp.Device("none"); !errors.Is(err, lb.ErrNotFound) {
		t.Errorf("no such interface: %v", err)
	}
	if err := attach(t, h, p, "jumbo", lb.Auto); err != nil {
		t.Error(err)
	}
}

// Who holds an interface is named with what keeps it there and how to take it off: a program without a link, a pinned
// link, one that a process has, and that of an interface above, for which the kernel refuses one below.
func TestHolder(t *testing.T) {
	testns.Enter(t)
	dir := testns.PinDir(t)
	h, p, theirs := open(t, dir), testns.Program(t, "ours"), testns.Program(t, "theirs")
	device := func(name string) int { return testns.Veth(t, name).Attrs().Index }
	hold := func(index int) link.Link {
		l, err := link.AttachXDP(link.XDPOptions{Program: theirs, Interface: index, Flags: link.XDPGenericMode})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	number := func(l link.Link) link.ID {
		info, err := l.Info()
		if err != nil {
			t.Fatal(err)
		}
		return info.ID
	}
	pinned := hold(device("pinned"))
	if err := pinned.Pin(dir + "/theirs"); err != nil {
		t.Fatal(err)
	}
	opened := hold(device("open"))
	bare := testns.Veth(t, "bare")
	below := testns.Veth(t, "below")
	bridge := netlink.NewLinkAttrs()
	bridge.Name = "above"
	err := errors.Join(netlink.LinkSetXdpFdWithFlags(bare, theirs.FD(), unix.XDP_FLAGS_SKB_MODE), netlink.LinkAdd(&netlink.Bridge{LinkAttrs: bridge}))
	if err != nil {
		t.Fatal(err)
	}
	master := testns.Up(t, "above")
	if err := netlink.LinkSetMaster(below, master); err != nil {
		t.Fatal(err)
	}
	above := hold(master.Attrs().Index)
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	own := fmt.Sprintf("%s (%d)", strings.TrimSpace(string(comm)), os.Getpid())
	for name, c := range map[string]struct{ says, hint string }{
		"pinned": {fmt.Sprintf("pinned already has the XDP program \"theirs\" (id %d), by link %d, pinned at %s/theirs", id(t, theirs), number(pinned), dir), "rm " + dir + "/theirs"},
		"open":   {fmt.Sprintf("by link %d of the process %s", number(opened), own), fmt.Sprintf("bpftool link detach id %d", number(opened))},
		"bare":   {fmt.Sprintf("bare already has the XDP program \"theirs\" (id %d)", id(t, theirs)), "ip link set dev bare xdpgeneric off"},
		"below": {fmt.Sprintf("below cannot have an XDP program while above, which is above it, has the XDP program \"theirs\" (id %d), by link %d of the process %s", id(t, theirs), number(above), own),
			fmt.Sprintf("bpftool link detach id %d", number(above))},
	} {
		var hinted interface{ Hint() string }
		err := attach(t, h, p, name, lb.Auto)
		if !errors.Is(err, lb.ErrConflict) || !errors.As(err, &hinted) || !strings.HasSuffix(err.Error(), c.says) || !strings.HasSuffix(hinted.Hint(), ": "+c.hint) {
			t.Errorf("%s: %v (%+v), want %s, %s", name, err, hinted, c.says, c.hint)
		}
	}
}

func id(t *testing.T, p *ebpf.Program) ebpf.ProgramID {
	t.Helper()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	return id
}

// stubborn is a link that keeps its program.
type stubborn struct{ link.Link }

var errStubborn = errors.New("stubborn")

func (stubborn) Update(*ebpf.Program) error { return errStubborn }

// If one link cannot be updated, all have the old program again.
func TestSwapTakenBack(t *testing.T) {
	testns.Enter(t)
	h, old := open(t, testns.PinDir(t)), testns.Program(t, "old")
	for _, name := range []string{"first", "second"} {
		testns.Veth(t, name)
		if err := attach(t, h, old, name, lb.Auto); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.PinProgram(old); err != nil {
		t.Fatal(err)
	}
	last := slices.Max(slices.Collect(maps.Keys(h.Links)))
	h.Links[last] = stubborn{h.Links[last]}
	if err := h.Swap(testns.Program(t, "new")); !errors.Is(err, errStubborn) {
		t.Errorf("swap: %v", err)
	}
	runs(t, "old", "first", "second")
}

// A process that was killed while it renewed the pin of the program leaves a second one, which is replaced.
func TestPinProgramAfterKill(t *testing.T) {
	testns.Enter(t)
	dir := testns.PinDir(t)
	h := open(t, dir)
	if err := testns.Program(t, "killed").Pin(dir + "/program_next"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"first", "second"} {
		if err := h.PinProgram(testns.Program(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || left[0].Name() != "program" {
		t.Errorf("pins: %v, %v", left, err)
	}
}

// mobile is an attached interface, and a second network namespace to which it can go.
type mobile struct {
	*testing.T
	here, there netns.NsHandle
	in          *netlink.Handle // in there
	dir         string
	hook        *xdp.Hook
	program     *ebpf.Program
}

func newMobile(t *testing.T) *mobile {
	t.Helper()
	testns.Enter(t)
	m := &mobile{T: t, dir: testns.PinDir(t), program: testns.Program(t, "ours")}
	var errs [4]error
	m.here, errs[0] = netns.Get()
	m.there, errs[1] = netns.New()
	errs[2] = netns.Set(m.here)
	m.in, errs[3] = netlink.NewHandleAt(m.there)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.in.Close(); m.here.Close(); m.there.Close() })
	m.hook = open(t, m.dir)
	testns.Veth(t, "mobile")
	m.must(attach(t, m.hook, m.program, "mobile", lb.Auto))
	return m
}

func (m *mobile) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *mobile) attached(want ...int) {
	m.Helper()
	all, err := m.hook.Interfaces()
	m.must(err)
	var got []int
	for _, i := range all {
		got = append(got, i.Index)
	}
	if !slices.Equal(got, want) {
		m.Errorf("attached: interfaces %v, want %v", got, want)
	}
}

// index is the present one of the interface.
func (m *mobile) index() int {
	m.Helper()
	l, err := netlink.LinkByName("mobile")
	m.must(err)
	return l.Attrs().Index
}

// awayAndBack has the interface go and come back with another index: another one here takes the old one meanwhile.
func (m *mobile) awayAndBack() (was, is int) {
	m.Helper()
	l, err := netlink.LinkByName("mobile")
	m.must(err)
	was = l.Attrs().Index
	m.must(netlink.LinkSetNsFd(l, int(m.there)))
	taken := netlink.NewLinkAttrs()
	taken.Name, taken.Index = fmt.Sprintf("taken%d", was), was
	m.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: taken, PeerName: taken.Name + "-peer"}))
	m.attached()
	l, err = m.in.LinkByName("mobile")
	m.must(err)
	m.must(m.in.LinkSetNsFd(l, int(m.here)))
	if is = m.index(); is == was {
		m.Fatal("it came back with the same index")
	}
	return was, is
}

// An interface that comes back with another index before anybody looks keeps its link, under that index.
func TestInterfaceComesBack(t *testing.T) {
	m := newMobile(t)
	_, is := m.awayAndBack()
	m.attached(is)
	m.must(attach(t, m.hook, m.program, "mobile", lb.Auto)) // it has the program, and it is ours
	if left, err := os.ReadDir(m.dir); err != nil || len(left) != 1 || left[0].Name() != fmt.Sprintf("link_%d", is) {
		t.Errorf("pins: %v, %v, want link_%d", left, err, is)
	}
}

// So does one that goes and comes back while no process runs. Its pin does not stand in the way of the one that has its
// former index.
func TestInterfaceComesBackMeanwhile(t *testing.T) {
	m := newMobile(t)
	m.must(m.hook.Close())
	was, is := m.awayAndBack()
	m.hook = open(t, m.dir)
	m.must(attach(t, m.hook, m.program, fmt.Sprintf("taken%d", was), lb.Auto))
	m.attached(is, was)
}

// An interface that goes to another namespace loses the program.
func TestInterfaceLeaves(t *testing.T) {
	m := newMobile(t)
	l, err := netlink.LinkByName("mobile")
	m.must(err)
	m.must(netlink.LinkSetNsFd(l, int(m.there)))
	if lost, err := m.hook.Sync(); err != nil || !slices.Equal(lost, []int{l.Attrs().Index}) {
		t.Errorf("lost %v, %v, want %d", lost, err, l.Attrs().Index)
	}
	l, err = m.in.LinkByName("mobile")
	m.must(err)
	if x := l.Attrs().Xdp; x != nil && x.Attached {
		t.Errorf("it has program %d in the other namespace", x.ProgId)
	}
}
