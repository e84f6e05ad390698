package survive

import (
	"testing"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// placed puts some flows where a service's table says.
func placed(s *service, flows int) map[packet.Flow]int {
	at := map[packet.Flow]int{}
	for n := range flows {
		f := numbered(s, n)
		at[f] = s.owner(f)
	}
	return at
}

func reseeded(s *service, seed uint32) *service {
	other := s.snapshot()
	to := other.Clone()
	to.Seed = seed
	other.set(to)
	return other
}

// One packet by another table is enough to see that a table is neither the old nor the new one.
func TestWhichTablePacketsFound(t *testing.T) {
	before := newService("maglev", 1, 0, started, lb.Service{Scheduler: lb.Maglev, TableSize: 1009})
	after := reseeded(before, 7)
	one := placed(after, 50)
	for f, replica := range one {
		if before.owner(f) != replica {
			one[f] = before.owner(f)
			break
		}
	}
	unseen := placed(before, 50)
	unseen[numbered(before, 0)] = -1
	for want, at := range map[string]map[packet.Flow]int{
		"old": placed(before, 50), "new": placed(after, 50), "neither": one,
	} {
		c := cuts{}
		if got := c.enter(before, after, at); got != want || c.old+c.renewed+c.mixed != 1 || c.confused != 1 {
			t.Errorf("found %q, want %q: %+v", got, want, c)
		}
	}
	c := cuts{}
	if got := c.enter(before, after, unseen); got != "neither" {
		t.Errorf("with a packet that nobody saw: %q", got)
	}
}
