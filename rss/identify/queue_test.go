package identify

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// byQueue replaces hashes by the queues of a table.
func byQueue(all []Observation, table rss.Table) []Observation {
	for i := range all {
		all[i].Queue, all[i].HasQueue = table.Queue(all[i].Hash), true
		all[i].Hash, all[i].HasHash = 0, false
	}
	return all
}

func equal(t testing.TB, size, queues int) rss.Table {
	t.Helper()
	table, err := rss.EqualTable(size, queues)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestQueues: queues determine part of a random key, whatever the size of the table.
func TestQueues(t *testing.T) {
	for _, c := range []struct {
		name         string
		class        string
		n            int
		table        rss.Table
		undetermined []Range
		ambiguous    bool // one bit of the hash does not show the order of the input
	}{
		{"4 of 128", "tcp4", 100, equal(t, 128, 4), []Range{{0, 29}, {127, 319}}, false},
		{"16 of 512", "tcp4", 64, equal(t, 512, 16), []Range{{0, 27}, {127, 319}}, false},
		{"8 of 64", "tcp6", 200, equal(t, 64, 8), []Range{{0, 28}, {319, 319}}, false},
		{"6 of 128", "tcp4", 300, equal(t, 128, 6), []Range{{0, 30}, {127, 319}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := source(t)
			key := randomKey(r, 40)
			got := identified(t, byQueue(observe(r, c.n, plain(key), c.class), c.table), Options{})
			sameKey(t, got.Model, key, c.undetermined...)
			if got.ByHash || got.Model.Arrangement != (Arrangement{}) || (len(got.Also) != 0) != c.ambiguous {
				t.Errorf("%+v, also %v", got.Model, got.Also)
			}
		})
	}
}

// TestQueuesOfGivenTable: a known table gives more equations than an assumed one.
func TestQueuesOfGivenTable(t *testing.T) {
	r := source(t)
	key := randomKey(r, 40)
	table := equal(t, 128, 32)
	for i := range table {
		table[i] = rss.Queue(i / 4) // the index's high five bits
	}
	got := identified(t, byQueue(observe(r, 64, plain(key), "tcp4"), table), Options{Table: table})
	sameKey(t, got.Model, key, Range{0, 24}, Range{125, 319})
}

// TestQueuesOfKnownKey: over an odd number of queues nothing is linear, but a known key and the table's
// size are found.
func TestQueuesOfKnownKey(t *testing.T) {
	for _, c := range []struct{ size, queues int }{{128, 3}, {64, 5}, {1024, 7}, {128, 4}} {
		r := source(t)
		key := randomKey(r, 40)
		turned := slices.Clone(key)
		turn(turned, 40)
		all := byQueue(observe(r, 300, plain(turned), "tcp4", "udp6"), equal(t, c.size, c.queues))
		got := identified(t, all, Options{Keys: []NamedKey{{"given", key}}})
		want := c.size
		if c.queues == 4 {
			want = 0 // any size is the same
		}
		if got.Model.KeyName != "given, byte-reversed" || got.Model.TableSize != want {
			t.Errorf("%d queues: key %q, table %d; want %d", c.queues, got.Model.KeyName, got.Model.TableSize, want)
		}
	}
}

// TestQueuesQuirk: quirks are found from queues too, if there are enough observations.
func TestQueuesQuirk(t *testing.T) {
	r := source(t)
	key := randomKey(r, 40)
	all := observe(r, 200, func(o *Observation) uint32 { return rss.Toeplitz(key, sorted(o.Flow, true)) }, "tcp4")
	got := identified(t, byQueue(all, equal(t, 128, 4)), Options{})
	if want := (Arrangement{Order: EachHighFirst}); got.Model.Arrangement != want || len(got.Also) != 0 {
		t.Errorf("%v, also %v; want %v", got.Model.Arrangement, got.Also, want)
	}
}

func TestQueuesRefused(t *testing.T) {
	r := source(t)
	all := byQueue(observe(r, 10, plain(rss.MicrosoftKey()), "tcp4"), equal(t, 128, 8))
	all[3].Queue = 7
	_, err := Identify(all, Options{Queues: 4})
	if err == nil || err.Error() != "queue 7 was observed: want below 4, the number of queues" {
		t.Errorf("error %v", err)
	}
}

// TestTables: with hashes and queues, the table is found as well.
func TestTables(t *testing.T) {
	odd := equal(t, 128, 4)
	for i := range odd {
		odd[i] = rss.Queue(i * 7 % 64 / 16)
	}
	for _, c := range []struct {
		name  string
		table rss.Table
		n     int
		want  *TurnTable
		notes []string
	}{
		{"three queues", equal(t, 512, 3), 64, &TurnTable{3, []int{512}}, nil},
		{"four queues", equal(t, 64, 4), 64, &TurnTable{4, tableSizes()}, nil},
		{"more queues than were seen", equal(t, 128, 20), 12, &TurnTable{20, []int{128}}, nil},
		{"not in turn", odd, 400, nil, []string{"an indirection table of 64 entries, not filled in turn, explains the queues"}},
		{"none", nil, 400, nil, []string{"no indirection table explains the queues by the hashes"}},
	} {
		r := source(t)
		all := observe(r, c.n, plain(randomKey(r, 40)), "tcp4")
		for i := range all {
			all[i].Queue, all[i].HasQueue = c.table.Queue(all[i].Hash), true
			if c.table == nil {
				all[i].Queue = rss.Queue(r.IntN(4))
			}
		}
		got := identified(t, all, Options{})
		if diff := cmp.Diff(c.want, got.Table); diff != "" {
			t.Errorf("%s: table (-want +got):\n%s", c.name, diff)
		}
		if diff := cmp.Diff(c.notes, got.Notes); diff != "" {
			t.Errorf("%s: notes (-want +got):\n%s", c.name, diff)
		}
	}
}

// withPort is a flow from another port.
func withPort(f packet.Flow, port uint16) packet.Flow {
	f.Source = netip.AddrPortFrom(f.Source.Addr(), port)
	return f
}

// TestQueuesBehindAnotherHash: a NIC reports another hash than it uses, or none.
func TestQueuesBehindAnotherHash(t *testing.T) {
	for name, report := range map[string]func(h uint32) uint32{
		"unexplained": func(h uint32) uint32 { return h * 0x9e3779b1 },
		"constant":    func(uint32) uint32 { return 0 },
	} {
		r := source(t)
		key := randomKey(r, 40)
		all := observe(r, 100, plain(key), "tcp4")
		for i := range all {
			all[i].Queue, all[i].HasQueue = equal(t, 128, 8).Queue(all[i].Hash), true
			all[i].Hash = report(all[i].Hash)
		}
		got := identified(t, all, Options{})
		sameKey(t, got.Model, key, Range{0, 28}, Range{127, 319})
		want := "the observed hashes are " + name + ": the NIC does not choose queues by them"
		if got.ByHash || !slices.Contains(got.Notes, want) {
			t.Errorf("by hash %v, notes %q, want %q", got.ByHash, got.Notes, want)
		}
	}
}
