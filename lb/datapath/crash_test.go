package datapath

import (
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"

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
	old = d.services[s.VIP]
	e, err := d.prepare(s, old)
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
			d.point(e, was)
		}, []lb.Service{changed}},
		"after the states": {func(t *testing.T, d *Datapath) {
			e, was := begin(t, d, changed)
			d.point(e, was)
			d.writeStates(e)
		}, []lb.Service{changed}},
		"before previous owners are cleaned": {func(t *testing.T, d *Datapath) {
			e, was := begin(t, d, changed)
			d.point(e, was)
			d.writeStates(e)
			d.retire(was, e)
		}, []lb.Service{changed}},
		"in a third change": {func(t *testing.T, d *Datapath) {
			if err := d.SetService(t.Context(), changed); err != nil {
				t.Fatal(err)
			}
			e, was := begin(t, d, old)
			d.point(e, was)
		}, []lb.Service{old}},
		"an address without a service": {func(t *testing.T, d *Datapath) {
			if err := d.addAddress(web("192.0.2.2:80").VIP); err != nil {
				t.Fatal(err)
			}
		}, []lb.Service{old}},
		"in a removal": {func(t *testing.T, d *Datapath) {
			e := d.services[old.VIP]
			d.tables.serviceAt().remove(e.row.Vip, e.at)
		}, nil},
		"after a previous table is given up": {func(t *testing.T, d *Datapath) {
			if err := d.SetService(t.Context(), changed); err != nil {
				t.Fatal(err)
			}
			e := d.services[old.VIP]
			at, _ := d.ids.rows.alloc(1)
			d.tables.services.rows[at] = withoutPreviousTable(e.row)
			d.tables.serviceAt().replace(e.row.Vip, e.at, at)
		}, []lb.Service{changed}},
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			veth(t, "up", "10.1.0.1/24")
			o := Options{Dir: pinDir(t), Limits: lb.Limits{Services: 2, Replicas: 7, Slots: 22, Flows: 1 << 10}, manualClock: true}
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
	for id, row := range d.tables.replicas.rows {
		if d.serviceOfReplica(uint32(id)) == nil && row.State != uint8(bpf.LbReplicaStateREPLICA_GONE) {
			t.Errorf("replica %d is of no service and has state %d", id, row.State)
		}
	}
	for v, e := range d.services {
		for _, r := range e.service.Replicas {
			if row := d.tables.replicas.rows[e.ids[r.Address]]; row.State != uint8(replicaState(r.State)) {
				t.Errorf("%v: replica %v has state %d, want %v", v, r.Address, row.State, r.State)
			}
		}
		for _, r := range e.ranges() {
			for at := r.from; at < r.to; at++ {
				s := d.tables.readSlot(at)
				if p := s.Previous(); p != bpf.ReplicaNone && d.serviceOfReplica(p) != e {
					t.Errorf("%v: slot %d has the previous owner %d, which is none of the service's replicas", v, at, p)
				}
			}
		}
		for slot := range e.row.Size {
			if current := d.tables.readSlot(e.row.Offset + slot).Owner(); d.serviceOfReplica(current) != e {
				t.Errorf("%v: slot %d belongs to %d, which is none of the service's replicas", v, slot, current)
			}
		}
	}
}

// unused checks that a datapath without services has no number in use.
func unused(t *testing.T, d *Datapath) {
	t.Helper()
	if err := d.reclaim(); err != nil {
		t.Fatal(err)
	}
	l := d.options.Limits
	for what, c := range map[string]struct {
		ids  extents
		size uint32
	}{
		"services": {d.ids.services, l.Services}, "rows": {d.ids.rows, rowsFor(l)}, "slots": {d.ids.slots, l.Slots},
		"replicas": {d.ids.replicas, l.Replicas}, "lists": {d.ids.lists, 2 * l.Replicas},
	} {
		if diff := cmp.Diff(newExtents(c.size), c.ids, cmp.AllowUnexported(extents{}, extent{})); diff != "" {
			t.Errorf("%s: some are not free (-want +got):\n%s", what, diff)
		}
	}
	for id := range d.tables.revNatAt().rows() {
		t.Errorf("a reverse NAT entry is left in row %d", id)
	}
	for at := range d.tables.serviceAt().rows() {
		t.Errorf("a service or address is left in row %d", at)
	}
	d.tables.records(func(_ recordAt, r bpf.Record) { t.Errorf("record %x is left", r) })
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
	at := d.services[s.VIP].at
	if err := d.SetService(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if d.services[s.VIP].at != at {
		t.Error("the same service was written again")
	}
}
