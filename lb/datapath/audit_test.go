package datapath

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/testns"
	"lbctl/lb/xdp"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// audited is an open datapath with two services, one with slots in transition, attached to "up".
func audited(t *testing.T) *Datapath {
	t.Helper()
	inNamespace(t)
	d := open(t, Options{Limits: lb.Limits{Services: 8, Replicas: 32, Slots: 1 << 10}, manualClock: true})
	l := testns.Veth(t, "up", "10.1.0.1/24")
	tracked := tracked(web("192.0.2.1:80", "10.1.0.2:8080", "10.1.0.3:8080"))
	tracked.Scheduler, tracked.TableSize = lb.Maglev, 251
	changed := tracked.Clone()
	changed.Replicas[0].Weight = 3
	other := web("192.0.2.2:80", "10.1.0.4:8080", "10.1.0.5:8080")
	other.SourceRanges = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	for _, s := range []lb.Service{tracked, other, changed} {
		if err := d.SetService(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Attach(t.Context(), l.Attrs().Name, lb.Auto); err != nil {
		t.Fatal(err)
	}
	return d
}

// pinnedMap opens a table as another program would.
func pinnedMap(t *testing.T, d *Datapath, name string) *ebpf.Map {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(filepath.Join(d.options.Dir, name), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// pinnedRow is a row of a pinned table, as another program would write it.
func pinnedRow(t *testing.T, d *Datapath, table string, at uint32) []byte {
	t.Helper()
	spec, err := bpf.LoadLb()
	if err != nil {
		t.Fatal(err)
	}
	m, size := pinnedMap(t, d, table), int(spec.Maps[table].ValueSize)
	all, err := unix.Mmap(m.FD(), 0, int(m.ValueSize()*m.MaxEntries()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(all) })
	return all[int(at)*size:][:size]
}

// overwrite writes a row of a pinned table.
func overwrite(t *testing.T, d *Datapath, table string, at uint32, row any) {
	t.Helper()
	if _, err := binary.Encode(pinnedRow(t, d, table, at), binary.NativeEndian, row); err != nil {
		t.Fatal(err)
	}
}

// pinnedLink opens the link of "up" as another program would.
func pinnedLink(t *testing.T, d *Datapath) link.Link {
	t.Helper()
	l, err := link.LoadPinnedLink(filepath.Join(d.options.Dir, "link_"+strconv.Itoa(testns.Up(t, "up").Attrs().Index)), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// mustAudit has everything repaired, and returns what was.
func mustAudit(t *testing.T, d *Datapath) lb.Verification {
	t.Helper()
	v, err := d.Verify(t.Context(), true)
	if err != nil || v.Repaired != v.Found {
		t.Fatal("verify:", v, err)
	}
	return v
}

func condition(t *testing.T, d *Datapath) lb.Condition {
	t.Helper()
	c, err := d.Condition()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A row that somebody overwrites, with zeros or ones, is named, and is as it was once it is repaired.
func TestAuditRows(t *testing.T) {
	d := audited(t)
	mustAudit(t, d)
	if c := condition(t, d); c.Mended != 0 || len(c.Faults) > 0 || c.Ends != "" {
		t.Fatalf("nobody has changed anything: %+v", c)
	}
	e := d.registry.services[web("192.0.2.2:80").VIP]
	replica := e.service.Replicas[1].Address
	id := e.ids[replica]
	next, inactive := d.registry.tables.Hop(id), *d.registry.tables.Replicas.Row(id)
	for _, c := range []struct {
		table string
		at    uint32
		key   string
	}{
		{bpf.LbMapSettings, 0, "the only row"},
		{bpf.LbMapServices, e.at, "tcp 192.0.2.2:80"},
		{bpf.LbMapServices, d.registry.addresses[e.service.VIP.Address.Addr()].At, "192.0.2.2"},
		{bpf.LbMapServiceIndex, d.registry.tables.ServiceIndex().Bucket(e.row.Vip), "tcp 192.0.2.2:80"},
		{bpf.LbMapReplicas, id, "10.1.0.5:8080 of tcp 192.0.2.2:80"},
		{bpf.LbMapRevNats, id, "10.1.0.5:8080 of tcp 192.0.2.2:80"},
		{bpf.LbMapRevNatIndex, d.registry.tables.RevNatIndex().Bucket(replicaKey(e.service.VIP, replica)), "tcp 10.1.0.5:8080"},
		{bpf.LbMapSlots, e.row.Offset + 1, "slot 1 of tcp 192.0.2.2:80"},
		{bpf.LbMapSlots, e.row.List + 1, "replica 1 in the list of tcp 192.0.2.2:80"},
		{bpf.LbMapSourceRanges, e.row.FirstRange, "source range 0 of tcp 192.0.2.2:80"},
	} {
		row := pinnedRow(t, d, c.table, c.at)
		was := slices.Clone(row)
		for _, by := range []byte{0, 0xff} {
			copy(row, slices.Repeat([]byte{by}, len(was)))
			said := condition(t, d).Mended
			found, err := d.Verify(t.Context(), false)
			if err != nil || found.Repaired > 0 || condition(t, d).Drifts != said || !names(found, c.table, c.key) {
				t.Errorf("row %d of %s, overwritten by %#x: %+v, %v, want it named as %s", c.at, c.table, by, found, err, c.key)
			}
			if repaired := mustAudit(t, d); repaired.Found != found.Found {
				t.Errorf("row %d of %s, overwritten by %#x: %+v is repaired, and was found as %+v", c.at, c.table, by, repaired, found)
			}
			if hop := d.registry.tables.Hop(id); hop != next {
				t.Errorf("next hop %+v, want %+v", hop, next)
			}
			if c.table == bpf.LbMapReplicas { // the next hop that is not active may be any
				row := d.registry.tables.Replicas.Row(id)
				row.ActiveHop, row.Hops, row.TunnelSource = inactive.ActiveHop, inactive.Hops, inactive.TunnelSource
			}
			is := slices.Clone(row)
			if c.table == bpf.LbMapSettings {
				copy(is[4:8], was[4:]) // the epoch of the FIB cache, which everything counts up
			}
			if !slices.Equal(is, was) {
				t.Errorf("row %d of %s, overwritten by %#x:\n% x, want\n% x", c.at, c.table, by, is, was)
			}
			if condition(t, d).Mended == said {
				t.Errorf("row %d of %s, overwritten by %#x: nothing is said", c.at, c.table, by)
			}
		}
	}
	mended := condition(t, d).Mended
	if mustAudit(t, d); condition(t, d).Mended != mended {
		t.Errorf("%d rows are mended twice", condition(t, d).Mended-mended)
	}
}

// names reports whether all that was found is in a table, and a row of it is called so.
func names(v lb.Verification, table, key string) (named bool) {
	for _, drift := range v.Drifts {
		if drift.Table != table || drift.Want == drift.Have {
			return false
		}
		named = named || drift.Key == key
	}
	return named
}

// Slots in transition keep their previous owners.
func TestAuditKeepsTransitions(t *testing.T) {
	d := audited(t)
	e := d.registry.services[web("192.0.2.1:80").VIP]
	at := inTransition(d, e)
	was, before := d.registry.tables.Slot(at), e.inTransition
	if err := pinnedMap(t, d, bpf.LbMapSlots).Put(e.row.Offset, bpf.LbSlot{Owner: 77, Previous: 77}); err != nil {
		t.Fatal(err)
	}
	mustAudit(t, d)
	if is := d.registry.tables.Slot(at); is != was {
		t.Errorf("another slot became %x, was %x", is, was)
	}
	if err := pinnedMap(t, d, bpf.LbMapSlots).Put(at, bpf.LbSlot{Owner: was.Owner(), Previous: 77 | 1<<31}); err != nil {
		t.Fatal(err)
	}
	if v := mustAudit(t, d); !names(v, bpf.LbMapSlots, fmt.Sprintf("slot %d of tcp 192.0.2.1:80", at-e.row.Offset)) {
		t.Errorf("a previous owner that is none of the service's: %+v", v)
	}
	if is := d.registry.tables.Slot(at); is.Previous() != bpf.ReplicaNone || is.Owner() != was.Owner() || !is.InTransition() {
		t.Errorf("the slot became %x, was %x", is, was)
	}
	if owner := d.registry.tables.Slot(e.row.Offset).Owner(); d.registry.serviceOfReplica(owner) != e {
		t.Errorf("the slot belongs to replica %d, which is not the service's", owner)
	}
	if lost := before - e.inTransition; lost > 1 {
		t.Errorf("%d slots are not in transition any more", lost)
	}
}

// Pins that are removed or replaced, one, all, or with the directory, are made again, without a gap in forwarding.
func TestAuditPins(t *testing.T) {
	d := audited(t)
	dir := d.options.Dir
	pins, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	program := attached(t, "up")
	damage := map[string]func() error{
		"the directory removed": func() error { return os.RemoveAll(dir) },
		"all removed": func() (err error) {
			for _, pin := range pins {
				err = errors.Join(err, os.Remove(filepath.Join(dir, pin.Name())))
			}
			return err
		},
		"others in place": func() (err error) {
			other := testns.Program(t, "other")
			for _, pin := range pins {
				clone, cloned := other.Clone()
				err = errors.Join(err, cloned, os.Remove(filepath.Join(dir, pin.Name())), clone.Pin(filepath.Join(dir, pin.Name())), clone.Close())
			}
			return err
		},
	}
	for _, pin := range pins {
		damage[pin.Name()+" removed"] = func() error { return os.Remove(filepath.Join(dir, pin.Name())) }
	}
	for name, do := range damage {
		if err := do(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c := condition(t, d); len(c.Faults) != 1 || c.Ends == "" {
			t.Errorf("%s: %+v, want a fault, and that forwarding ends", name, c)
		}
		mustAudit(t, d)
		if c := condition(t, d); len(c.Faults) > 0 || c.Ends != "" {
			t.Errorf("%s, after the audit: %+v", name, c)
		}
		if got, err := os.ReadDir(dir); err != nil || len(got) != len(pins) {
			t.Errorf("%s: %d pins, %v, want %d", name, len(got), err, len(pins))
		}
	}
	if is := attached(t, "up"); is != program {
		t.Errorf("program %d is attached, want %d as before", is, program)
	}
	if _, err := Open(t.Context(), d.options); !errors.Is(err, lb.ErrConflict) {
		t.Errorf("another process opens the directory that was made anew: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	next := open(t, Options{Dir: dir, Limits: d.options.Limits, manualClock: true})
	if all, err := next.Interfaces(); err != nil || len(all) != 1 || len(next.registry.services) != 2 {
		t.Errorf("the next process finds %v, %v and %d services", all, err, len(next.registry.services))
	}
}

// An interface is attached where the pin directory has just been removed.
func TestAttachWithoutDirectory(t *testing.T) {
	d := audited(t)
	if err := os.RemoveAll(d.options.Dir); err != nil {
		t.Fatal(err)
	}
	testns.Veth(t, "next")
	if _, err := d.Attach(t.Context(), "next", lb.Auto); err != nil {
		t.Error(err)
	}
	if c := condition(t, d); len(c.Faults) > 0 || c.Ends != "" {
		t.Errorf("condition: %+v", c)
	}
}

// The BPF file system is unmounted under a datapath.
func TestAuditUnmounted(t *testing.T) {
	inNamespace(t)
	if err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("bpffs", xdp.Root, "bpf", 0, "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(xdp.Root, unix.MNT_DETACH) })
	d := open(t, Options{Ephemeral: true, Dir: xdp.Root + "/unmounted", manualClock: true})
	testns.Veth(t, "up")
	if _, err := d.Attach(t.Context(), "up", lb.Auto); err != nil {
		t.Fatal(err)
	}
	if c := condition(t, d); len(c.Faults) > 0 || !strings.Contains(c.Ends, "mount namespace") {
		t.Errorf("on a private BPF file system: %+v", c)
	}
	for unix.Unmount(xdp.Root, unix.MNT_DETACH) == nil { // also the machine's below it, whose mount is a copy here
	}
	if c := condition(t, d); len(c.Faults) != 1 || !strings.Contains(c.Ends, "not pinned") {
		t.Errorf("unmounted: %+v, want a fault, and that forwarding ends", c)
	}
	mustAudit(t, d)
	if c := condition(t, d); len(c.Faults) > 0 {
		t.Errorf("after the audit: %+v", c)
	}
}

// beforeOurs is a program that calls ours, and the table that says so.
func beforeOurs(t *testing.T, d *Datapath) (*ebpf.Program, *ebpf.Map) {
	t.Helper()
	behind, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { behind.Close() })
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMapPtr(asm.R2, behind.FD()), asm.Mov.Imm(asm.R3, 0), asm.FnTailCall.Call(), asm.Mov.Imm(asm.R0, 2), asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if err := behind.Put(uint32(0), d.objects.Lb); err != nil {
		t.Fatal(err)
	}
	return p, behind
}

// An observer before our program is nobody's damage while it hands packets on.
func TestAuditObserver(t *testing.T) {
	d := audited(t)
	l := pinnedLink(t, d)
	observer, behind := beforeOurs(t, d)
	if err := l.Update(observer); err != nil {
		t.Fatal(err)
	}
	mustAudit(t, d)
	if is, ours := attached(t, "up"), programID(t, d); is == ours {
		t.Error("the observer was taken out")
	}
	if c := condition(t, d); len(c.Faults) > 0 || c.Mended != 0 {
		t.Errorf("with an observer: %+v", c)
	}
	if err := behind.Delete(uint32(0)); err != nil {
		t.Fatal(err)
	}
	mustAudit(t, d)
	if is, want := attached(t, "up"), programID(t, d); is != want {
		t.Errorf("the observer hands nothing on: program %d is attached, want %d", is, want)
	}
}

// Another program in the place of ours under our link is taken out again.
func TestAuditProgram(t *testing.T) {
	d := audited(t)
	l := pinnedLink(t, d)
	if err := l.Update(testns.Program(t, "other")); err != nil {
		t.Fatal(err)
	}
	if c := condition(t, d); len(c.Faults) != 1 || !strings.Contains(c.Faults[0], "on up") {
		t.Errorf("condition: %+v", c)
	}
	mustAudit(t, d)
	if is, want := attached(t, "up"), programID(t, d); is != want {
		t.Errorf("program %d is attached, want %d", is, want)
	}
	if c := condition(t, d); len(c.Faults) > 0 || c.Mended != 1 {
		t.Errorf("condition: %+v", c)
	}
	if err := l.Detach(); err != nil {
		t.Fatal(err)
	}
	if all, err := d.Interfaces(); err != nil || len(all) > 0 {
		t.Errorf("somebody detached the link: attached %v, %v", all, err)
	}
	if c := condition(t, d); c.Ends == "" {
		t.Error("nothing is attached, and forwarding is said to go on")
	}
	if _, err := d.Attach(t.Context(), "up", lb.Auto); err != nil {
		t.Error("attach again:", err)
	}
}

// Tables that contradict themselves are no reason not to start: what can be believed goes on, what others have overwritten
// is rewritten, and a service of which nothing can be believed is left out until it is set again.
func TestAdoptDamagedTables(t *testing.T) {
	tcp1, tcp2 := web("192.0.2.1:80").VIP, web("192.0.2.2:80").VIP
	for name, c := range map[string]struct {
		damage func(d *Datapath, e, other *entry) (table string, at uint32, row any)
		kept   []lb.VIP
	}{
		"slots of another service": {func(d *Datapath, e, other *entry) (string, uint32, any) {
			row := e.row
			row.Offset = other.row.Offset
			return bpf.LbMapServices, e.at, row
		}, nil}, // one of the two: whichever is read first
		"owners that count from another replica": {func(d *Datapath, e, other *entry) (string, uint32, any) {
			row := e.row
			row.FirstReplica++
			return bpf.LbMapServices, e.at, row
		}, []lb.VIP{tcp1}},
		"a mode that is none": {func(d *Datapath, e, other *entry) (string, uint32, any) {
			row := e.row
			row.Mode = 77
			return bpf.LbMapServices, e.at, row
		}, []lb.VIP{tcp1}},
		"zeros for a service": {func(d *Datapath, e, other *entry) (string, uint32, any) {
			return bpf.LbMapServices, e.at, bpf.LbService{}
		}, []lb.VIP{tcp1}},
		"ones for a list": {func(d *Datapath, e, other *entry) (string, uint32, any) {
			return bpf.LbMapSlots, e.row.List, bpf.LbSlot{Owner: 1<<32 - 1, Previous: 1<<32 - 1}
		}, []lb.VIP{tcp1}},
		"an owner that is none": {func(d *Datapath, e, other *entry) (string, uint32, any) {
			return bpf.LbMapSlots, e.row.Offset, bpf.LbSlot{Owner: 9999, Previous: 9999}
		}, []lb.VIP{tcp1, tcp2}},
		"ones for a bucket": {func(d *Datapath, e, other *entry) (string, uint32, any) {
			return bpf.LbMapRevNatIndex, 0, bytes.Repeat([]byte{0xff}, 64)
		}, []lb.VIP{tcp1, tcp2}},
		"zeros for a reverse NAT entry": {func(d *Datapath, e, other *entry) (string, uint32, any) {
			return bpf.LbMapRevNats, e.ids[e.service.Replicas[0].Address], bpf.LbRevNat{}
		}, []lb.VIP{tcp1, tcp2}},
		"zeros for an address": {func(d *Datapath, e, other *entry) (string, uint32, any) {
			return bpf.LbMapServices, d.registry.addresses[tcp2.Address.Addr()].At, bpf.LbService{}
		}, []lb.VIP{tcp1, tcp2}},
	} {
		t.Run(name, func(t *testing.T) {
			d := audited(t)
			want, err := d.Services()
			if err != nil {
				t.Fatal(err)
			}
			table, at, row := c.damage(d, d.registry.services[tcp2], d.registry.services[tcp1])
			overwrite(t, d, table, at, row)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			next := open(t, d.options)
			if condition(t, next).Mended == 0 {
				t.Error("nothing is said")
			}
			var kept []lb.VIP
			for _, s := range next.registry.copies() {
				kept = append(kept, s.VIP)
			}
			if c.kept != nil && !slices.Equal(kept, c.kept) || c.kept == nil && len(kept) != 1 {
				t.Errorf("kept %v, want %v", kept, c.kept)
			}
			for _, s := range want { // as the intent does
				if err := next.SetService(t.Context(), s); err != nil {
					t.Error(err)
				}
			}
			mended := condition(t, next).Mended
			if mustAudit(t, next); condition(t, next).Mended != mended {
				t.Error("the next audit finds something that others have changed")
			}
			if err := next.Close(); err != nil {
				t.Fatal(err)
			}
			last := open(t, d.options)
			if got, err := last.Services(); err != nil || !cmp.Equal(want, got, exact...) || condition(t, last).Mended != 0 {
				t.Errorf("a third process finds %v, %v, %+v, want %v", got, err, condition(t, last), want)
			}
		})
	}
}
