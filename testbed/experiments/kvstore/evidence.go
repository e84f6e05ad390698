package kvstore

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"lbctl/rss/observe"
	"lbctl/rss/packet"
	"lbctl/testbed/cluster"
	"lbctl/testbed/experiment"
	"lbctl/testbed/kv"
	"lbctl/testbed/report"
)

// Evidence is what was seen of one arm.
type Evidence struct {
	cluster.Sighting
	VIP netip.AddrPort
	// Stores are their addresses; the position is their number.
	Stores []netip.AddrPort
	// Plan is what the clients were to request, Requests is their log.
	Plan     kv.Plan
	Requests []kv.Request
	// Served are the logs of our stores, Threads the threads of memcached's connections by client. Memcached says which it was.
	Served    [][]kv.Served
	Threads   []map[netip.AddrPort]int
	Memcached bool
}

// connection is what all witnesses together saw of one connection.
type connection struct {
	// flow is client > VIP.
	flow packet.Flow
	// keys are those that it got.
	keys map[int]bool
	// seen is what the observer saw on the NIC, nil if nothing; packets are those that were captured at the stores.
	seen    *observe.Flow
	packets uint64
	// stores are those that any witness names.
	stores map[int]bool
	// served are its lines in the stores' logs; threads are the numbers of its threads.
	served  []kv.Served
	threads map[int]bool
}

// tally is the evidence sorted by connection, and what is missing in it, a sentence each.
type tally struct {
	Evidence
	connections []*connection
	gaps        []string
}

func newTally(e Evidence) tally {
	byClient := map[netip.AddrPort]*connection{}
	at := func(client netip.AddrPort) *connection {
		c := byClient[client]
		if c == nil {
			c = &connection{
				flow: packet.Flow{Source: client, Destination: e.VIP, Protocol: packet.TCP},
				keys: map[int]bool{}, stores: map[int]bool{}, threads: map[int]bool{},
			}
			byClient[client] = c
		}
		return c
	}
	for _, r := range e.Requests {
		c := at(r.Flow.Source)
		if r.Err == "" && r.Key != kv.Hello && !r.Put {
			c.keys[r.Key] = true
		}
	}
	e.readStores(at)
	for i, f := range e.Observed {
		if f.Flow.Destination == e.VIP && f.Flow.Protocol == packet.TCP {
			at(f.Flow.Source).seen = &e.Observed[i]
		}
	}
	t := tally{Evidence: e}
	for _, client := range slices.SortedFunc(maps.Keys(byClient), netip.AddrPort.Compare) {
		t.connections = append(t.connections, byClient[client])
	}
	t.findGaps()
	return t
}

// readStores enters what the stores' logs, threads and links say.
func (e Evidence) readStores(at func(netip.AddrPort) *connection) {
	for i, log := range e.Served {
		for _, s := range log {
			if s.Flow.Source.Addr() == e.Stores[i].Addr() {
				continue // the store was filled from its own host
			}
			c := at(s.Flow.Source)
			c.served, c.stores[i], c.threads[s.Thread] = append(c.served, s), true, true
		}
	}
	for i, threads := range e.Threads {
		for client, thread := range threads {
			c := at(client)
			c.stores[i], c.threads[thread] = true, true
		}
	}
	for i, captured := range e.Captures {
		for _, f := range captured.Flows {
			if f.Flow.Destination == e.Stores[i] && f.Flow.Protocol == packet.TCP {
				c := at(f.Flow.Source)
				c.packets += f.Packets
				c.stores[i] = true
			}
		}
	}
}

// findGaps finds connections that not every witness saw on one store and one thread, and witnesses that say that they
// missed something.
func (t *tally) findGaps() {
	var unseen, stores, threads int
	for _, c := range t.connections {
		unseen += experiment.One(c.seen == nil || len(c.seen.Queues) == 0)
		stores += experiment.One(len(c.stores) != 1)
		threads += experiment.One(len(c.threads) != 1)
	}
	t.gap(t.Plan.Connections-len(t.connections), "connections are missing, or too many")
	t.gap(unseen, "connections were not seen by the kernel's observer")
	t.gap(stores, "connections were not seen at exactly one store")
	t.gap(threads, "connections were not seen with exactly one thread")
	t.gap(int(t.Missed), "packets were missed by the kernel's observer")
	for _, c := range t.Captures {
		t.gap(int(c.Dropped), "packets were dropped by a capture")
	}
}

func (t *tally) gap(n int, what string) {
	if n != 0 {
		t.gaps = append(t.gaps, fmt.Sprintf("%s %s", report.Cell(n), what))
	}
}

// but returns the gaps as the end of a detail.
func (t tally) but() string { return experiment.But("But the evidence has gaps", t.gaps) }

// place is where a connection is, of a kind of places; ok is false if it is at none, or at several.
type place func(*connection) (at int, ok bool)

// only returns the one element of a set.
func only[K comparable](set map[K]bool) (one K, ok bool) {
	for one = range set {
	}
	return one, len(set) == 1
}

// queue is the receive queue.
func queue(c *connection) (int, bool) {
	if c.seen == nil || len(c.seen.Queues) != 1 {
		return 0, false
	}
	for q := range c.seen.Queues {
		return int(q), true
	}
	return 0, false
}

// received is the core of its packets, as the observer on the NIC saw it.
func received(c *connection) (int, bool) {
	if c.seen == nil || len(c.seen.CPUs) != 1 {
		return 0, false
	}
	return c.seen.CPUs[0], true
}

// store is the number of its store.
func store(c *connection) (int, bool) { return only(c.stores) }

// mostCores is more than a machine has: a store and a core are numbered together.
const mostCores = 1 << 16

// served is the core of the thread that serves it, of its store.
func served(c *connection) (int, bool) {
	at, ok := only(c.stores)
	for _, s := range c.served {
		ok = ok && s.Core == c.served[0].Core
	}
	if !ok || len(c.served) == 0 {
		return 0, false
	}
	return at*mostCores + c.served[0].Core, true
}

// threadOfFirst is the thread of a connection to the first store.
func threadOfFirst(c *connection) (int, bool) {
	if at, ok := only(c.stores); !ok || at != 0 {
		return 0, false
	}
	return only(c.threads)
}

// spread is at how many places the keys are.
type spread struct {
	// per is by key: how many places it has. Several keys have more than one, and pairs is the sum.
	per            []int
	several, pairs int
	// places is how many there are, nowhere how many connections are at none of them, or at several.
	places, nowhere int
	// chance is the distribution of pairs if each key had chosen its connections at random.
	chance distribution
}

// spread counts the places of the keys. Connections that are at no place of the kind do not count.
func (t tally) spread(at place) spread {
	s := spread{chance: distribution{1}}
	counts := map[int]int{}
	sets, times := make([]map[int]bool, t.Plan.Keys), make([]int, t.Plan.Keys)
	for _, c := range t.connections {
		p, ok := at(c)
		if !ok {
			s.nowhere++
			continue
		}
		counts[p]++
		for key := range c.keys {
			if key < 0 || key >= t.Plan.Keys {
				continue
			}
			if sets[key] == nil {
				sets[key] = map[int]bool{}
			}
			sets[key][p] = true
			times[key]++
		}
	}
	sizes := slices.Sorted(maps.Values(counts))
	byTimes := map[int]distribution{}
	for key, set := range sets {
		s.per = append(s.per, len(set))
		s.several += experiment.One(len(set) > 1)
		s.pairs += len(set)
		r := times[key]
		if byTimes[r] == nil {
			byTimes[r] = distinct(sizes, r)
		}
		s.chance = s.chance.plus(byTimes[r])
	}
	s.places = len(counts)
	return s
}

// one returns how many keys have exactly one place.
func (s spread) one() (n int) {
	for _, places := range s.per {
		n += experiment.One(places == 1)
	}
	return n
}

// mean is how many places a key has on average.
func (s spread) mean() float64 {
	if len(s.per) == 0 {
		return 0
	}
	return float64(s.pairs) / float64(len(s.per))
}
