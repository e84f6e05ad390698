package reconcile_test

import (
	"cmp"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lbctl/control/reconcile"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// large draws a state whose tables take up to all slots. Its VIPs are those of other states, so that tables are replaced, and
// old and new one do not always fit beside each other.
func large(t *rapid.T, name string) (s reconcile.State) {
	room := tight.Slots
	for i := range byte(rapid.IntRange(1, int(tight.Services)).Draw(t, name+" services")) {
		sizes := slices.DeleteFunc([]uint32{11, 47, 97, 151, 199}, func(n uint32) bool { return n > room })
		if len(sizes) == 0 {
			break
		}
		size := rapid.SampledFrom(sizes).Draw(t, name+" table size")
		room -= size
		s.Services = append(s.Services, forward(lb.Service{
			VIP: lb.VIP{Address: address(1 + i), Protocol: packet.TCP}, Scheduler: lb.Maglev, TableSize: size,
			Replicas: []lb.Replica{{Address: address(11 + i)}},
		}.WithDefaults()).Services...)
	}
	return s
}

// A plan for which the slots do not suffice stops with ErrFull, names the service and the limit, and loses nothing: what it
// has not done yet is as it was. Once the service in the way is gone, planning again gets there.
func TestFullSlots(t *testing.T) {
	reached := 0
	rapid.Check(t, func(t *rapid.T) {
		from, to := large(t, "from"), large(t, "to")
		dp := memory(t, from)
		for tries := 0; ; tries++ {
			before := current(t, dp)
			steps := reconcile.Plan(before, to, tight)
			err := reconcile.Execute(t.Context(), dp, steps)
			if err == nil {
				break
			}
			var refused *reconcile.StepError
			if !errors.Is(err, lb.ErrFull) || !errors.As(err, &refused) || tries > len(from.Services) {
				t.Fatalf("try %d, %v: %v", tries, lines(steps), err)
			}
			reached++
			wantDone(t, current(t, dp), before, steps[:refused.Done])
			if err := dp.RemoveService(t.Context(), inTheWay(current(t, dp), to)); err != nil {
				t.Fatal(err)
			}
		}
		wantState(t, dp, to)
	})
	if reached == 0 {
		t.Error("the slots sufficed in every case")
	}
}

// inTheWay returns the largest service that is not as intended.
func inTheWay(now, to reconcile.State) lb.VIP {
	changes := slices.DeleteFunc(slices.Clone(now.Services), func(s *lb.Service) bool {
		return slices.ContainsFunc(to.Services, func(o *lb.Service) bool { return s.SameAs(*o) })
	})
	return slices.MaxFunc(changes, func(a, b *lb.Service) int { return cmp.Compare(a.TableSize, b.TableSize) }).VIP
}

// wantDone fails unless the services are those of before after some steps.
func wantDone(t *rapid.T, now, before reconcile.State, done []reconcile.Step) {
	want := map[lb.VIP]lb.Service{}
	for _, s := range before.Services {
		want[s.VIP] = *s
	}
	for _, step := range done {
		switch step.Verb {
		case reconcile.Set:
			want[step.Service.VIP] = step.Service
		case reconcile.Remove:
			delete(want, step.Service.VIP)
		}
	}
	for _, s := range now.Services {
		if !s.SameAs(want[s.VIP]) {
			t.Errorf("%v is %+v, want %+v", s.VIP, s, want[s.VIP])
		}
		delete(want, s.VIP)
	}
	if len(want) > 0 {
		t.Errorf("lost: %v", want)
	}
}
