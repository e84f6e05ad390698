package datapath

import (
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/tables"
	"lbctl/lb/testns"

	"github.com/google/go-cmp/cmp"
)

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
			d.registry.tables.Services.Rows[at] = withoutPreviousTable(e.row)
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
	for id, row := range d.registry.tables.Replicas.Rows {
		if d.registry.serviceOfReplica(uint32(id)) == nil && row.State != uint8(bpf.LbReplicaStateREPLICA_GONE) {
			t.Errorf("replica %d is of no service and has state %d", id, row.State)
		}
	}
	for v, e := range d.registry.services {
		for _, r := range e.service.Replicas {
			if row := d.registry.tables.Replicas.Rows[e.ids[r.Address]]; row.State != uint8(replicaState(r.State)) {
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
