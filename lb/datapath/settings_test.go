package datapath

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/testns"
	"lbctl/rss/packet"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// pinSchema changes the schema number of pinned tables.
func pinSchema(t *testing.T, dir string, to uint16) {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, bpf.LbMapSettings), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var row bpf.LbSetting
	if err := m.Lookup(uint32(0), &row); err != nil {
		t.Fatal(err)
	}
	row.Schema = to
	if err := m.Put(uint32(0), row); err != nil {
		t.Fatal(err)
	}
}

// The next process finds the record of a flow: the secret of the key is kept.
func TestSecretIsKept(t *testing.T) {
	inNamespace(t)
	o := Options{Dir: testns.PinDir(t)}
	first := open(t, o)
	secret := first.secret
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if second := open(t, o); second.secret != secret || secret == ([4]uint64{}) {
		t.Errorf("secret %x after %x", second.secret, secret)
	}
	other := open(t, Options{Dir: o.Dir + "-other"})
	if other.secret == secret {
		t.Errorf("two directories have the secret %x", secret)
	}
	if _, err := Purge(o.Dir + "-other"); !errors.Is(err, lb.ErrConflict) {
		t.Errorf("purge what is in use: %v, want a conflict", err)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Purge(o.Dir + "-other"); err != nil {
		t.Error(err)
	}
}

// A start that fails leaves what it found and nothing else.
func TestFailedStartLeavesNoPins(t *testing.T) {
	inNamespace(t)
	broken := Options{Dir: testns.PinDir(t), edit: func(s *ebpf.CollectionSpec) {
		s.Programs[bpf.LbProgLb].Instructions = asm.Instructions{asm.Return()} // R0 is not set
	}}
	if _, err := Open(t.Context(), broken); err == nil {
		t.Fatal("a program that the kernel refuses was opened")
	}
	if _, err := os.Stat(broken.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pin directory is left: %v", err)
	}
	if err := open(t, Options{Dir: broken.Dir}).Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadDir(broken.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), broken); err == nil {
		t.Fatal("a program that the kernel refuses was opened")
	}
	if after, err := os.ReadDir(broken.Dir); err != nil || len(after) != len(before) {
		t.Errorf("%d pins after a start that failed, %v, want %d", len(after), err, len(before))
	}
}

// What would end with the mount namespace is refused, unless that is wanted.
func TestPrivateMounts(t *testing.T) {
	inNamespace(t)
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	copied := testns.PinDir(t) // on the file system that process 1 sees, by a copy of its mount
	if err := open(t, Options{Dir: copied}).Close(); err != nil {
		t.Error(err)
	}
	own := t.TempDir()
	if err := unix.Mount("bpffs", own, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(own, unix.MNT_DETACH) })
	o := Options{Dir: own + "/lb"}
	_, err := Open(t.Context(), o)
	if !errors.Is(err, lb.ErrConflict) || !strings.Contains(err.Error(), "mount namespace") {
		t.Errorf("open on a private BPF file system: %v, want a conflict", err)
	}
	if _, err := os.Stat(o.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pin directory is left: %v", err)
	}
	o.Ephemeral = true
	if err := open(t, o).Close(); err != nil {
		t.Error(err)
	}
}

// formerPins make pinned tables those of earlier versions.
func formerPins() map[uint32]func(t *testing.T, dir string) {
	seven := func(t *testing.T, dir string) { unpin(t, dir, bpf.LbMapFlowCounts) }
	six := func(t *testing.T, dir string) { // without source ranges and rates
		seven(t, dir)
		for _, name := range []string{bpf.LbMapSourceRanges, bpf.LbMapRateStates, bpf.LbMapAllowances} {
			unpin(t, dir, name)
		}
	}
	five := func(t *testing.T, dir string) { // the fragments were in a hash map
		six(t, dir)
		unpin(t, dir, bpf.LbMapFragments)
		m, err := ebpf.NewMap(&ebpf.MapSpec{Name: bpf.LbMapFragments, Type: ebpf.LRUHash, KeySize: 40, ValueSize: 8, MaxEntries: 1 << 14})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := m.Pin(filepath.Join(dir, bpf.LbMapFragments)); err != nil {
			t.Fatal(err)
		}
	}
	return map[uint32]func(*testing.T, string){5: five, 6: six, 7: seven}
}

// Source ranges and rates, and what is used up of these, go on after a start, and after one with other limits; and others'
// changes of them are mended. Too small a limit is refused.
func TestLimitsGoOn(t *testing.T) {
	inNamespace(t)
	l := testns.Veth(t, "up", "10.1.0.1/24")
	testns.Neighbour(t, l, "10.1.0.2")
	s := web("192.0.2.1:80", "10.1.0.2:80")
	s.SourceRanges = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("2001:db8::/32")}
	s.RateLimit = lb.RateLimit{Packets: 9, NewFlows: 1, Burst: lb.DefaultBurst}
	other := web("192.0.2.2:80", "10.1.0.2:81") // whose rows are the first ones
	other.SourceRanges = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	o := Options{Dir: testns.PinDir(t), Limits: wornLimits(), manualClock: true}
	o.Limits.SourceRanges = 4
	x := &fixture{T: t, d: open(t, o), ingress: l.Attrs().Index}
	x.set(other)
	x.set(s)
	x.ends("198.51.100.7:1", 0x02, lb.Forwarded)
	for _, ranges := range []uint32{4, 64, 4} {
		closed(t, x.d)
		o.Limits.SourceRanges = ranges
		x.d = open(t, o)
		if all, err := x.d.Services(); err != nil || len(all) != 2 || !all[0].SameAs(s) || !all[1].SameAs(other) {
			t.Fatalf("%d: %+v, %v", ranges, all, err)
		}
		x.ends("203.0.113.7:1", 0x10, lb.SourceDenied)
		x.ends("198.51.100.7:1", 0x10, lb.Forwarded)
		if ranges == 4 {
			continue
		}
		x.ends("198.51.100.7:2", 0x02, lb.Forwarded) // other tables begin with what may come at once
	}
	e := x.d.registry.services[s.VIP]
	x.d.registry.tables.SourceRanges.Row(e.row.FirstRange).LastLow = 0
	x.ends("198.51.100.7:1", 0x10, lb.SourceDenied)
	mustAudit(t, x.d)
	x.ends("198.51.100.7:1", 0x10, lb.Forwarded)
	closed(t, x.d)
	o.Limits.SourceRanges = 3
	if d, err := Open(t.Context(), o); !errors.Is(err, lb.ErrConflict) || !strings.Contains(err.Error(), "datapath.limits.source_ranges of 3") {
		t.Errorf("4 ranges with a limit of 3: %v, %v", d, err)
	}
	o.Limits.SourceRanges = 4
	x.d = open(t, o)
	for _, service := range []lb.Service{s, other} {
		if err := x.d.RemoveService(t.Context(), service.VIP); err != nil {
			t.Fatal(err)
		}
	}
	unused(t, x.d)
}

// Ranges of ports go on after a start, and after one with other limits; others' changes of them are mended, and what a process
// has left half done is completed.
func TestPortsGoOn(t *testing.T) {
	inNamespace(t)
	l := testns.Veth(t, "up", "10.1.0.1/24")
	testns.Neighbour(t, l, "10.1.0.2")
	s := ranged(stateless("192.0.2.1:79", lb.DSR, "10.1.0.2:79"), 80)
	o := Options{Dir: testns.PinDir(t), Limits: wornLimits(), manualClock: true}
	x := &fixture{T: t, d: open(t, o), ingress: l.Attrs().Index}
	x.set(s)
	x.ends("198.51.100.7:1", 0x10, lb.Forwarded)
	row := func() *bpf.LbAddressRow {
		at := x.d.registry.addresses[s.VIP.Address.Addr()].At
		return (*bpf.LbAddressRow)(unsafe.Pointer(x.d.registry.tables.Services.Row(at)))
	}
	want := row().Ranges
	for _, services := range []uint32{o.Limits.Services, 64, o.Limits.Services} {
		o.Limits.Services = services
		closed(t, x.d)
		x.d = open(t, o)
		if all, err := x.d.Services(); err != nil || len(all) != 1 || !all[0].SameAs(s) {
			t.Fatalf("%+v, %v", all, err)
		}
		x.ends("198.51.100.7:1", 0x10, lb.Forwarded)
	}
	row().Ranges[0] = bpf.LbPortRange{}
	x.ends("198.51.100.7:1", 0x10, lb.ForThisHost)
	mustAudit(t, x.d)
	x.ends("198.51.100.7:1", 0x10, lb.Forwarded)
	x.d.registry.tables.SetRanged(false)
	x.ends("198.51.100.7:1", 0x10, lb.ForThisHost)
	mustAudit(t, x.d)
	x.ends("198.51.100.7:1", 0x10, lb.Forwarded)

	row().Ranges[0], row().Ranges[3] = bpf.PortRange(79, 90, 6), bpf.PortRange(1000, 1009, 6) // the one was narrowed, the other removed
	x.d.registry.tables.SetRanged(false)
	closed(t, x.d)
	x.d = open(t, o)
	x.ends("198.51.100.7:1", 0x10, lb.Forwarded)
	if row().Ranges != want {
		t.Errorf("ranges %v, want %v", row().Ranges, want)
	}
	if err := x.d.RemoveService(t.Context(), s.VIP); err != nil {
		t.Fatal(err)
	}
	unused(t, x.d)
	if x.d.registry.tables.SetRanged(false) {
		t.Error("packets look for ranges, and there is none")
	}
}

// ends sends a packet to the first service, which must end in a reason.
func (x *fixture) ends(client string, flags uint8, want lb.Reason) {
	x.Helper()
	f := packet.Flow{Source: netip.MustParseAddrPort(client), Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP}
	before := x.counters().Reasons[want].Packets
	if _, err := send(x.d.Program(), x.ingress, contract.Packet{Flow: f, TTL: 64, Flags: flags}.Frame()); err != nil {
		x.Fatal(err)
	}
	if x.counters().Reasons[want].Packets != before+1 {
		x.Errorf("a packet of %s does not end as %s", client, want)
	}
}

func TestFlowLimits(t *testing.T) {
	for _, flows := range []uint32{512, 1000, 1<<20 + 1, 1 << 29} {
		d := newDatapath(Options{Limits: lb.Limits{Services: 1, Replicas: 1, Slots: 1, Flows: flows}}.withDefaults())
		if err := d.options.checkLimits(); !errors.Is(err, lb.ErrInvalid) {
			t.Errorf("%d flows: %v", flows, err)
		}
	}
}

// An old kernel is refused before anything is changed: no pin directory, and no request to the neighbour table.
func TestOldKernel(t *testing.T) {
	inNamespace(t)
	o := Options{Dir: testns.PinDir(t)}
	testns.OldKernel(t)
	d, err := Open(t.Context(), o)
	if err == nil {
		d.Close()
	}
	if !errors.Is(err, lb.ErrUnsupported) || !strings.Contains(err.Error(), "Linux 2.6.") || !strings.Contains(err.Error(), "6.1 or later") {
		t.Errorf("open: %v, want it refused for the kernel, by name", err)
	}
	if _, err := os.Stat(o.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pin directory: %v, want none", err)
	}
}

// Of packets that are too big, or to no service, only so many are answered on each CPU: senders do not make us send as much
// as they do. Each kind has tokens of its own.
func TestAnswersAreLimited(t *testing.T) {
	s := web("10.1.0.9:80", "10.1.0.2:80")
	s.Mode = lb.IPIP
	x := newFixtureWith(t, s, Options{TokenRate: 1, NoService: lb.RejectNoService})
	reset := x.flow(2)
	reset.Destination = netip.AddrPortFrom(reset.Destination.Addr(), 81)
	unreachable := reset
	unreachable.Protocol = packet.UDP
	for _, c := range []struct {
		flows            []packet.Flow
		answered, others lb.Reason
	}{{[]packet.Flow{x.flow(1)}, lb.TooBigAnswered, lb.TooBig}, {[]packet.Flow{reset, unreachable}, lb.Rejected, lb.RejectLimited}} {
		cpus := ebpf.MustPossibleCPU()
		begin, sent := time.Now(), 50*cpus
		for n := range sent {
			frame := contract.Packet{Flow: c.flows[n%len(c.flows)], TTL: 64, DontFragment: true, Payload: make([]byte, 1460)}
			if _, err := send(x.d.Program(), x.ingress, frame.Frame()); err != nil {
				t.Fatal(err)
			}
		}
		most := cpus * (2 + int(time.Since(begin).Seconds()))
		n := x.counters().Reasons
		answered, others := int(n[c.answered].Packets), int(n[c.others].Packets)
		if answered == 0 || answered > most || answered+others != sent {
			t.Errorf("%d packets were %s and %d %s, want 1 to %d and the rest of %d", answered, c.answered, others, c.others, most, sent)
		}
	}
}
