package lb_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// admit says whether a dataplane that holds the services present may take s.
func admit(present []lb.Service, s lb.Service, l lb.Limits) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if _, err := lb.NewIndex(present...).Conflict(s); err != nil {
		return err
	}
	var u lb.Usage
	var old *lb.Service
	for i, other := range present {
		u.Add(other)
		if other.VIP == s.VIP {
			old = &present[i]
		}
	}
	return u.Room(s, old, l)
}

// admitAll admits services one after the other.
func admitAll(services []lb.Service) error {
	for i, s := range services {
		if err := admit(services[:i], s, lb.DefaultLimits); err != nil {
			return err
		}
	}
	return nil
}

func TestIndexAdmits(t *testing.T) {
	present := []lb.Service{valid(0), valid(1)}
	replace, taken, loop, looped, wrong := valid(1), valid(2), valid(2), valid(2), valid(2)
	replace.Replicas = slices.Clone(replace.Replicas[:1])
	replace.TableSize = 1
	taken.Replicas[2] = present[1].Replicas[0]
	loop.Replicas[0].Address = ends("10.0.1.1:81")
	looped.VIP.Address = ends("10.1.1.2:443")
	wrong.Replicas[0].Weight = 0
	recorded, fifth := valid(2), valid(6)
	shared := []lb.Service{valid(2), valid(3), valid(4), valid(5)}
	always := func(s lb.Service, n int, replica lb.Replica) lb.Service {
		s.Tracking, s.Replicas[n] = lb.TrackAlways, replica
		return s.WithDefaults()
	}
	for i := range shared {
		shared[i] = always(shared[i], 0, shared[0].Replicas[0])
	}
	recorded, fifth = always(recorded, 2, present[1].Replicas[0]), always(fifth, 0, shared[0].Replicas[0])
	notAlways := shared[3].Clone()
	notAlways.Tracking = lb.TrackChanges
	exact := lb.Limits{Services: 3, Replicas: 9, Slots: 9}
	for name, c := range map[string]struct {
		service lb.Service
		limits  lb.Limits
		want    error
		beside  []lb.Service
	}{
		"new":                                    {valid(2), exact, nil, nil},
		"replace":                                {replace, lb.Limits{Services: 2, Replicas: 4, Slots: 7}, nil, nil},
		"replace, no room":                       {replace, lb.Limits{Services: 2, Replicas: 4, Slots: 6}, lb.ErrFull, nil},
		"taken":                                  {taken, exact, lb.ErrConflict, nil},
		"loop":                                   {loop, exact, lb.ErrConflict, nil},
		"looped":                                 {looped, exact, lb.ErrConflict, nil},
		"invalid":                                {wrong, exact, lb.ErrInvalid, nil},
		"services":                               {valid(2), lb.Limits{Services: 2, Replicas: 9, Slots: 9}, lb.ErrFull, nil},
		"replicas":                               {valid(2), lb.Limits{Services: 3, Replicas: 8, Slots: 9}, lb.ErrFull, nil},
		"slots":                                  {valid(2), lb.Limits{Services: 3, Replicas: 9, Slots: 8}, lb.ErrFull, nil},
		"taken and full":                         {taken, lb.Limits{}, lb.ErrConflict, nil},
		"taken, and only one records every flow": {recorded, exact, lb.ErrConflict, nil},
		"shared":                                 {shared[3], lb.DefaultLimits, nil, shared[:3]},
		"shared by one more":                     {fifth, lb.DefaultLimits, lb.ErrConflict, shared},
		"shared, and not always":                 {notAlways, lb.DefaultLimits, lb.ErrConflict, shared[:3]},
		"shared, and not always any more":        {notAlways, lb.DefaultLimits, lb.ErrConflict, shared},
	} {
		if err := admit(append(present[:2:2], c.beside...), c.service, c.limits); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// An index from which services were removed says the same as one that never had them.
func TestIndexRemoves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []lb.Service
		x := lb.NewIndex()
		for range 12 {
			s := aService(t)
			at := slices.IndexFunc(all, func(o lb.Service) bool { return o.VIP == s.VIP })
			if at >= 0 {
				x.Remove(all[at])
				all = slices.Delete(all, at, at+1)
			}
			if rapid.Bool().Draw(t, "gone") {
				continue
			}
			if _, err := x.Conflict(s); err == nil {
				x.Add(s)
				all = append(all, s)
			}
			for range 3 {
				probe := aService(t)
				for _, r := range probe.Replicas {
					if got, want := x.Shared(r.Address, packet.TCP), len(lb.NewIndex(all...).Owners(r.Address, packet.TCP)) > 1; got != want {
						t.Fatalf("%v is shared: %v, want %v", r.Address, got, want)
					}
				}
				_, got := x.Conflict(probe)
				_, want := lb.NewIndex(all...).Conflict(probe)
				if (got == nil) != (want == nil) || got != nil && got.Error() != want.Error() {
					t.Fatalf("%v: %v, want %v", probe, got, want)
				}
			}
		}
		for _, s := range all {
			x.Remove(s)
		}
		if diff := cmp.Diff(lb.NewIndex(), x, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
			t.Fatal("left (-want +got):", diff)
		}
	})
}
