package datapath

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/lb/tables"
	"lbctl/lb/testns"
	"lbctl/lb/xdp"
	"lbctl/rss/packet"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// victim is a process that begins a migration and is killed after a step of it.
type victim struct {
	Dir    string
	Limits lb.Limits
	Step   string
	// Services are what it is given to forward.
	Services []lb.Service
	// Port is the client's port of a flow that packets record while the links are about to get the new program, with a
	// replica that does not own its slot.
	Port uint16
}

// victimVariable holds a victim as JSON, for the process that is one.
const victimVariable = "LBCTL_TEST_VICTIM"

func TestMain(m *testing.M) {
	if is := os.Getenv(victimVariable); is != "" {
		fmt.Fprintln(os.Stderr, dieInMigration(is))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// dieInMigration returns if it survives.
func dieInMigration(is string) error {
	var v victim
	if err := json.Unmarshal([]byte(is), &v); err != nil {
		return err
	}
	o := Options{Dir: v.Dir, Limits: v.Limits, Services: v.Services, manualClock: true, edit: passing}
	o.step = func(d *Datapath, step string) {
		if step == "carried" && d.migration.old != nil {
			d.migration.old.note(d.secret, v.Port)
		}
		if step == "carried" && v.Step == "one link" {
			for _, l := range d.links.hook.Links {
				if err := l.Update(d.objects.Lb); err != nil {
					panic(err)
				}
				unix.Kill(os.Getpid(), unix.SIGKILL)
			}
		}
		if step == v.Step {
			unix.Kill(os.Getpid(), unix.SIGKILL)
		}
	}
	d, err := Open(context.Background(), o)
	return errors.Join(err, fmt.Errorf("step %s did not come", v.Step), d.Close())
}

// passing makes the program one that passes everything: the tables are looked at, no packets are sent.
func passing(s *ebpf.CollectionSpec) {
	s.Programs[bpf.LbProgLb].Instructions = asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}
}

func lateFlow(port uint16) packet.Flow {
	return packet.Flow{Source: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.8"), port), Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP}
}

// note records a flow with a replica that does not own its slot, as a packet would.
func (d *Datapath) note(secret [4]uint64, port uint16) {
	f := lateFlow(port)
	e := d.registry.services[lb.VIP{Address: f.Destination, Protocol: f.Protocol}]
	key, hash := bpf.FlowKey(secret, f.Source, f.Destination, uint8(f.Protocol), f.Destination.Port()), oracle.Hash(e.service, d.options.ToeplitzKey, f)
	owner := d.registry.tables.Slot(e.row.Offset + hash%e.row.Size).Owner()
	for _, id := range e.ids {
		if id == owner {
			continue
		}
		lines := &d.registry.tables.Established
		line := &lines.Row(uint32(key) & uint32(lines.Len()-1)).Entry
		line[slices.Index(line[:], 0)] = uint64(hash)<<32 | key>>58<<26 | uint64(id)
		return
	}
}

// A process that is killed in a migration, wherever, leaves the old tables in use or the new ones, and the next one goes on from
// there: no flow moves, nothing is lost of what was counted, nothing is left.
func TestMigrationInterrupted(t *testing.T) {
	x := newWorn(t, nil)
	testns.Veth(t, "side")
	if _, err := x.d.Attach(t.Context(), "side", lb.Auto); err != nil {
		t.Fatal(err)
	}
	late := x.inTransitionPorts()
	closed(t, x.d)
	o := Options{Dir: x.d.options.Dir, manualClock: true, edit: passing}
	x.pass(o.Dir)
	limits := [2]lb.Limits{{Services: 16, Replicas: 64, Slots: 256, Flows: 1 << 14, SourceRanges: 128}, wornLimits()}
	for n, step := range []string{
		"begun", "loaded", "filled", "carried", "one link", "switched", "caught up", "renamed", "removed what has no successor",
		"moved " + bpf.LbMapSlots, "moved " + bpf.LbMapServices, "moved " + programPin,
	} {
		for m, to := range limits {
			what := fmt.Sprintf("killed after %q, to limits %d", step, m)
			port := late[2*n+m]
			x.kill(victim{Dir: o.Dir, Limits: to, Step: step, Port: port})
			x.linked(what)
			o.Limits = to
			x.d = open(t, o)
			x.whole(what)
			if x.d.registry.limits != to {
				t.Errorf("%s: limits %+v", what, x.d.registry.limits)
			}
			f := lateFlow(port)
			if e, err := x.d.Explain(lb.Probe{Flow: f}); n > 2 && (err != nil || e.Choice != lb.ByRecord || e.Replica == e.Owner) {
				t.Errorf("%s: a flow that was recorded meanwhile goes to %v by %v (%v), want its record", what, e.Replica, e.Choice, err)
			}
			closed(t, x.d)
		}
	}
	x.kill(victim{Dir: o.Dir, Limits: limits[0], Step: "switched", Port: late[0]})
	if left, err := Purge(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("purge of a migration: %v left, %v", left, err)
	}
	if _, err := os.Stat(o.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after a purge: %v", err)
	}
}

// inTransitionPorts are client ports whose flows are in slots in transition.
func (x *worn) inTransitionPorts() (ports []uint16) {
	x.Helper()
	for port := range uint16(200) {
		e, err := x.d.Explain(lb.Probe{Flow: lateFlow(port + 1)})
		if err != nil {
			x.Fatal(err)
		}
		if e.InTransition {
			ports = append(ports, port+1)
		}
	}
	return ports
}

// pass puts a program that passes everything under the links: it is the one of the processes that come.
func (x *worn) pass(dir string) {
	x.Helper()
	hook, err := xdp.Open(dir, programPin)
	if err != nil {
		x.Fatal(err)
	}
	defer closed(x.T, hook)
	if err := hook.Swap(testns.Program(x.T, bpf.LbProgLb)); err != nil {
		x.Fatal(err)
	}
}

// kill runs a process that is killed in a migration.
func (x *worn) kill(v victim) {
	x.Helper()
	is, err := json.Marshal(v)
	if err != nil {
		x.Fatal(err)
	}
	c := exec.Command("/proc/self/exe") // in the network namespace of this thread
	c.Env = append(os.Environ(), victimVariable+"="+string(is))
	said, err := c.CombinedOutput()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		x.Fatalf("%s: %v: %s", v.Step, err, said)
	}
}

// linked checks that both links have a program whose tables are pinned with it.
func (x *worn) linked(when string) {
	x.Helper()
	pinned := map[uint32]string{}
	for _, dir := range []string{"", "next", "done"} {
		p, err := ebpf.LoadPinnedProgram(filepath.Join(x.d.options.Dir, dir, programPin), nil)
		if err != nil {
			continue
		}
		info, err := p.Info()
		if err != nil {
			x.Fatal(err)
		}
		id, _ := info.ID()
		pinned[uint32(id)] = dir
		closed(x.T, p)
	}
	for _, name := range []string{"up", "side"} {
		if id := attached(x.T, name); !slices.Contains(slices.Collect(maps.Keys(pinned)), id) {
			x.Errorf("%s: %s has program %d, which is not pinned: %v", when, name, id, pinned)
		}
	}
}

// whole checks that the open tables have everything that there was, and that nothing else is pinned.
func (x *worn) whole(when string) {
	x.Helper()
	consistent(x.T, x.d)
	for f, with := range x.with {
		if e, err := x.d.Explain(lb.Probe{Flow: f}); err != nil || e.Replica != with {
			x.Errorf("%s: %v goes to %v (%v), was with %v", when, f, e.Replica, err, with)
		}
	}
	x.counts(lb.Counters{})
	if got := atomic.LoadUint64(x.pathMTU(x.d)); got != x.told {
		x.Errorf("%s: path MTU %x", when, got)
	}
	holds(x.T, when, programID(x.T, x.d), "up", "side")
	if c := condition(x.T, x.d); c.Mended != 0 || len(c.Faults) > 0 {
		x.Errorf("%s: %+v", when, c)
	}
	x.onlyOurs(when)
}

// tracked returns the service with tracking of changes.
func tracked(s lb.Service) lb.Service {
	s.Tracking, s.Idle = lb.TrackChanges, 8*time.Second
	return s
}

// maglev returns the service with a table of seven slots.
func maglev(s lb.Service) lb.Service {
	s.Scheduler, s.TableSize = lb.Maglev, 7
	return s
}

// begin prepares a change up to the switch.
func begin(t *testing.T, d *Datapath, s lb.Service) (e, old *entry) {
	t.Helper()
	old = d.registry.services[s.VIP]
	e, err := d.registry.prepare(s, old)
	if err != nil {
		t.Fatal(err)
	}
	return e, old
}

// A process that ends anywhere in a change leaves the old state or the new one. The next process continues
// from it and nothing is lost.
func TestCutShort(t *testing.T) {
	old := web("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80")
	changed := web("192.0.2.1:80", "10.1.0.3:80", "10.1.0.4:80", "10.1.0.5:80", "10.1.0.6:80")
	changed.Replicas[0].State = lb.Draining
	changed.TableSize = 3
	direct := changed
	direct.Mode = lb.DSR
	for name, c := range map[string][2]lb.Service{
		"stateless to dsr": {old, direct},
		"rehashed":         {tracked(old), tracked(changed)},
		"in transition":    {tracked(maglev(old)), tracked(maglev(changed))},
	} {
		t.Run(name, func(t *testing.T) { testCutShort(t, c[0], c[1]) })
	}
}

func testCutShort(t *testing.T, old, changed lb.Service) {
	for name, c := range map[string]struct {
		cut  func(*testing.T, *Datapath)
		want []lb.Service
	}{
		"before the switch": {func(t *testing.T, d *Datapath) { begin(t, d, changed) }, []lb.Service{old}},
		"after the switch": {func(t *testing.T, d *Datapath) {
			e, was := begin(t, d, changed)
			d.registry.point(e, was)
		}, []lb.Service{changed}},
		"after the states": {func(t *testing.T, d *Datapath) {
			e, was := begin(t, d, changed)
			d.registry.point(e, was)
			d.registry.writeStates(e)
		}, []lb.Service{changed}},
		"before previous owners are cleaned": {func(t *testing.T, d *Datapath) {
			e, was := begin(t, d, changed)
			d.registry.point(e, was)
			d.registry.writeStates(e)
			d.registry.retire(was, e)
		}, []lb.Service{changed}},
		"in a third change": {func(t *testing.T, d *Datapath) {
			if err := d.SetService(t.Context(), changed); err != nil {
				t.Fatal(err)
			}
			e, was := begin(t, d, old)
			d.registry.point(e, was)
		}, []lb.Service{old}},
		"an address without a service": {func(t *testing.T, d *Datapath) {
			if err := d.registry.addAddress(web("192.0.2.2:80").VIP); err != nil {
				t.Fatal(err)
			}
		}, []lb.Service{old}},
		"in a removal": {func(t *testing.T, d *Datapath) {
			e := d.registry.services[old.VIP]
			d.registry.tables.ServiceIndex().Remove(e.row.Vip, e.at)
		}, nil},
		"after a previous table is given up": {func(t *testing.T, d *Datapath) {
			if err := d.SetService(t.Context(), changed); err != nil {
				t.Fatal(err)
			}
			e := d.registry.services[old.VIP]
			at, _ := d.registry.ids.Rows.Alloc(1)
			*d.registry.tables.Services.Row(at) = withoutPreviousTable(e.row)
			d.registry.tables.ServiceIndex().Replace(e.row.Vip, e.at, at)
		}, []lb.Service{changed}},
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			testns.Veth(t, "up", "10.1.0.1/24")
			o := Options{Dir: testns.PinDir(t), Limits: lb.Limits{Services: 2, Replicas: 7, Slots: 22, Flows: 1 << 10}, manualClock: true}
			first := open(t, o)
			if err := first.SetService(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			c.cut(t, first)
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			converges(t, o, c.want, old, changed)
		})
	}
}

// converges opens the datapath again and makes more changes. The limits are so tight that a lost number would
// show.
func converges(t *testing.T, o Options, want []lb.Service, old, changed lb.Service) {
	second := open(t, o)
	got, err := second.Services()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, exact...); diff != "" {
		t.Fatal("services of the next process (-want +got):", diff)
	}
	if c := condition(t, second); c.Mended != 0 {
		t.Errorf("the next process takes %d things for the work of others", c.Mended)
	}
	consistent(t, second)
	for range 2 {
		for _, s := range []lb.Service{changed, old} {
			if err := second.SetService(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			consistent(t, second)
		}
	}
	if err := second.RemoveService(t.Context(), old.VIP); err != nil {
		t.Fatal(err)
	}
	unused(t, second)
}

// consistent checks that the tables of every service name only its own replicas, in their states.
func consistent(t *testing.T, d *Datapath) {
	t.Helper()
	for id, row := range d.registry.tables.Replicas.Pass() {
		if d.registry.serviceOfReplica(id) == nil && row.State != uint8(bpf.LbReplicaStateREPLICA_GONE) {
			t.Errorf("replica %d is of no service and has state %d", id, row.State)
		}
	}
	for v, e := range d.registry.services {
		for _, r := range e.service.Replicas {
			if row := *d.registry.tables.Replicas.Row(e.ids[r.Address]); row.State != uint8(replicaState(r.State)) {
				t.Errorf("%v: replica %v has state %d, want %v", v, r.Address, row.State, r.State)
			}
		}
		for _, r := range e.ranges() {
			for at := r.From; at < r.To; at++ {
				s := d.registry.tables.Slot(at)
				if p := s.Previous(); p != bpf.ReplicaNone && d.registry.serviceOfReplica(p) != e {
					t.Errorf("%v: slot %d has the previous owner %d, which is none of the service's replicas", v, at, p)
				}
			}
		}
		for slot := range e.row.Size {
			if current := d.registry.tables.Slot(e.row.Offset + slot).Owner(); d.registry.serviceOfReplica(current) != e {
				t.Errorf("%v: slot %d belongs to %d, which is none of the service's replicas", v, slot, current)
			}
		}
	}
}

// unused checks that a datapath without services has no number in use.
func unused(t *testing.T, d *Datapath) {
	t.Helper()
	if err := d.registry.reclaim(); err != nil {
		t.Fatal(err)
	}
	l := d.options.Limits
	for what, c := range map[string]struct {
		ids  tables.Extents
		size uint32
	}{
		"services": {d.registry.ids.Services, l.Services}, "rows": {d.registry.ids.Rows, tables.RowsFor(l)}, "slots": {d.registry.ids.Slots, l.Slots},
		"replicas": {d.registry.ids.Replicas, l.Replicas}, "lists": {d.registry.ids.Lists, 2 * l.Replicas}, "ranges": {d.registry.ids.Ranges, 2 * l.SourceRanges},
	} {
		if diff := cmp.Diff(tables.NewExtents(c.size), c.ids, cmp.AllowUnexported(tables.Extents{}, tables.Extent{})); diff != "" {
			t.Errorf("%s: some are not free (-want +got):\n%s", what, diff)
		}
	}
	for id := range d.registry.tables.RevNatIndex().Rows() {
		t.Errorf("a reverse NAT entry is left in row %d", id)
	}
	for at := range d.registry.tables.ServiceIndex().Rows() {
		t.Errorf("a service or address is left in row %d", at)
	}
	d.registry.tables.Records(func(_ tables.Record, r bpf.Record) { t.Errorf("record %x is left", r) })
	consistent(t, d)
}

// An unchanged configuration writes no table.
func TestUnchanged(t *testing.T) {
	inNamespace(t)
	d := open(t, Options{})
	s := web("192.0.2.1:80", "10.1.0.2:80")
	if err := d.SetService(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	at := d.registry.services[s.VIP].at
	if err := d.SetService(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if d.registry.services[s.VIP].at != at {
		t.Error("the same service was written again")
	}
}
