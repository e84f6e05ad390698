package scheduler

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lbctl/lb"
)

// replicas returns n replicas of weight 1 at neighbouring addresses.
func replicas(n int) []lb.Replica {
	rs := make([]lb.Replica, n)
	for i := range rs {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		rs[i] = lb.Replica{Address: netip.AddrPortFrom(a, 8080), Weight: 1}
	}
	return rs
}

// maglevService is a service with the replicas and a table of size slots.
func maglevService(rs []lb.Replica, size uint32) lb.Service {
	return lb.Service{Scheduler: lb.Maglev, TableSize: size, Replicas: rs}
}

// owners replaces the indexes of a table by addresses.
func owners(s lb.Service) []netip.AddrPort {
	table := Build(s)
	names := make([]netip.AddrPort, len(table))
	for slot, replica := range table {
		names[slot] = s.Replicas[replica].Address
	}
	return names
}

// shares returns the number of slots of each replica.
func shares(table []uint32, replicas int) []int {
	n := make([]int, replicas)
	for _, r := range table {
		n[r]++
	}
	return n
}

func TestModulo(t *testing.T) {
	got := Build(lb.Service{Scheduler: lb.Modulo, TableSize: 4, Replicas: replicas(4)})
	if want := []uint32{0, 1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestNoReplicas(t *testing.T) {
	for _, s := range []lb.Service{{Scheduler: lb.Modulo}, {Scheduler: lb.Maglev, TableSize: 13}} {
		if got := Build(s); got != nil {
			t.Errorf("%v: %v, want none", s.Scheduler, got)
		}
	}
}

// TestActiveOnly: a replica that is not active owns no slot, and the table is the one without it.
func TestActiveOnly(t *testing.T) {
	for _, s := range []lb.Service{{Scheduler: lb.Modulo}, {Scheduler: lb.Maglev, TableSize: 101}} {
		all := replicas(5)
		all[0].State, all[3].State = lb.Draining, lb.Down
		s.Replicas = []lb.Replica{all[1], all[2], all[4]}
		if s.Scheduler == lb.Modulo {
			s.TableSize = 3
		}
		want := owners(s)
		s.Replicas = all
		if got := owners(s); !slices.Equal(got, want) {
			t.Errorf("%v: owners %v, want %v", s.Scheduler, got, want)
		}
		for i := range s.Replicas {
			s.Replicas[i].State = lb.ReplicaState(1 + i%2)
		}
		if got := Build(s); got != nil {
			t.Errorf("%v, none active: %v, want none", s.Scheduler, got)
		}
	}
}

// TestGolden pins one table: datapaths of different versions must agree on the slots. Origin: a
// naive program in another language, written from the doc comments of this package.
func TestGolden(t *testing.T) {
	rs := replicas(3)
	rs[0].Weight, rs[2].Weight = 3, 2
	got := Build(maglevService(rs, 13))
	if want := []uint32{0, 0, 0, 2, 1, 0, 0, 2, 0, 1, 2, 2, 0}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestRefused(t *testing.T) {
	for name, s := range map[string]lb.Service{
		"not a prime":     maglevService(replicas(3), 12),
		"no slots":        maglevService(replicas(3), 0),
		"too few slots":   maglevService(replicas(3), 2),
		"other scheduler": {Scheduler: 7, TableSize: 3, Replicas: replicas(3)},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			Build(s)
		})
	}
}

// services draws valid Maglev services, most of them small, with weights of all sizes.
func services() *rapid.Generator[lb.Service] {
	return rapid.Custom(func(t *rapid.T) lb.Service {
		size := rapid.SampledFrom([]uint32{2, 3, 13, 101, 251, 1009, 4099}).Draw(t, "slots")
		n := rapid.IntRange(1, min(int(size), 60)).Draw(t, "replicas")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		rs := replicas(n)
		widest := rapid.SampledFrom([]int{1, 2, 10, 65535}).Draw(t, "heaviest")
		for i := range rs {
			rs[i].Weight = uint16(1 + r.IntN(widest))
		}
		r.Shuffle(n, func(i, j int) { rs[i], rs[j] = rs[j], rs[i] })
		return maglevService(rs, size)
	})
}

// TestShares: every slot has an owner, every replica a slot, and each share is as near to its weight
// as the doc comment of maglev says.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := services().Draw(t, "service")
		table := Build(s)
		if len(table) != int(s.TableSize) {
			t.Fatalf("%d slots, want %d", len(table), s.TableSize)
		}
		var sum float64
		for _, r := range s.Replicas {
			sum += float64(r.Weight)
		}
		got := shares(table, len(s.Replicas))
		for i, r := range s.Replicas {
			part := float64(r.Weight) / sum
			off := float64(got[i]) - float64(s.TableSize)*part
			if bound := 1 + float64(len(s.Replicas))*part; got[i] == 0 || off >= bound || off <= -bound {
				t.Errorf("replica %d, weight %d of %v: %d slots, off by %.2f, bound %.2f", i, r.Weight, sum, got[i], off, bound)
			}
		}
	})
}

// TestEqualShares: replicas of one weight differ by at most one slot.
func TestEqualShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := services().Draw(t, "service")
		got := shares(Build(s), len(s.Replicas))
		least, most := map[uint16]int{}, map[uint16]int{}
		for i, r := range s.Replicas {
			least[r.Weight] = min(cmp.Or(least[r.Weight], got[i]), got[i])
			most[r.Weight] = max(most[r.Weight], got[i])
		}
		for w := range most {
			if most[w]-least[w] > 1 {
				t.Errorf("weight %d: %d to %d slots", w, least[w], most[w])
			}
		}
	})
}

// TestOrder: neither the order of the replicas nor the rest of the service matters.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := services().Draw(t, "service")
		want := owners(s)
		other := lb.Service{Scheduler: lb.Maglev, TableSize: s.TableSize, Hash: lb.ToeplitzHash, Seed: 9}
		other.Replicas = rapid.Permutation(s.Replicas).Draw(t, "order")
		if !slices.Equal(owners(other), want) {
			t.Errorf("another order of replicas gives another table")
		}
	})
}
