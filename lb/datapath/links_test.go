package datapath

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/testns"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

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

func TestOtherLimits(t *testing.T) {
	inNamespace(t)
	dir := testns.PinDir(t)
	open(t, Options{Dir: dir}).Close()
	_, err := Open(t.Context(), Options{Dir: dir, Limits: lb.Limits{Services: 1, Replicas: 1, Slots: 1}})
	if !errors.Is(err, lb.ErrConflict) || !strings.Contains(err.Error(), dir) {
		t.Errorf("open with other limits: %v, want a conflict that names %s", err, dir)
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
