package datapath

import (
	"testing"

	"lbctl/lb"

	"github.com/google/go-cmp/cmp"
)

// A process that ends anywhere in a change leaves the old state or the new one, and
// the next one goes on from it with nothing lost.
func TestCutShort(t *testing.T) {
	old := web("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80")
	changed := web("192.0.2.1:80", "10.1.0.3:80", "10.1.0.4:80", "10.1.0.5:80")
	for name, c := range map[string]struct {
		cut  func(*testing.T, *Datapath)
		want []lb.Service
	}{
		"before the switch": {func(t *testing.T, d *Datapath) {
			if _, err := d.prepare(changed, d.services[old.VIP]); err != nil {
				t.Fatal(err)
			}
		}, []lb.Service{old}},
		"after the switch": {func(t *testing.T, d *Datapath) {
			e, err := d.prepare(changed, d.services[old.VIP])
			if err != nil {
				t.Fatal(err)
			}
			d.tables.serviceAt().replace(e.row.Vip, d.services[old.VIP].at, e.at)
		}, []lb.Service{changed}},
		"in a removal": {func(t *testing.T, d *Datapath) {
			e := d.services[old.VIP]
			d.tables.serviceAt().remove(e.row.Vip, e.at)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			veth(t, "up", "10.1.0.1/24")
			o := Options{Dir: pinDir(t), Limits: lb.Limits{Services: 1, Replicas: 5, Slots: 6}}
			first := open(t, o)
			if err := first.SetService(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			c.cut(t, first)
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			second := open(t, o)
			got, err := second.Services()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, exact...); diff != "" {
				t.Fatal("services of the next process (-want +got):", diff)
			}
			// The limits are so tight that anything leaked would show here.
			for range 3 {
				for _, s := range []lb.Service{changed, old} {
					if err := second.SetService(t.Context(), s); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := second.RemoveService(t.Context(), old.VIP); err != nil {
				t.Fatal(err)
			}
			for id := range second.tables.originAt().rows() {
				t.Errorf("a way back is left in row %d", id)
			}
		})
	}
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
