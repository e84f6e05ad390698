package rig_test

import (
	"io"
	"os"
	"slices"
	"testing"

	"lbctl/rss"
	"lbctl/rss/packet"
	"lbctl/testbed/helper"
	"lbctl/testbed/replica"
	"lbctl/testbed/traffic"
)

// small is a site whose objects take few frames.
var small = replica.Site{Seed: 1, Objects: 32, MinSize: 200, MaxSize: 50_000}

// serveHTTP runs clients against a replica on the host, calling atHalf between the halves of every connection's requests.
func (b bed) serveHTTP(t *testing.T, connections int, atHalf func()) []traffic.Request {
	t.Helper()
	config := clientsOf(t, 8, connections)
	config.Site, config.Barrier = small, true
	server := start(t, b.host, "replica", replica.Config{Listen: config.VIP, Site: config.Site})
	server.await(t, helper.Ready)
	clients := start(t, b.clients, "client", config)
	clients.await(t, traffic.Half)
	atHalf()
	_, err := io.WriteString(clients.stdin, "go on\n")
	check(t, err)
	clients.end(t)
	server.terminate(t)
	return requests(t, config)
}

// queuesOf returns, by flow, the queues its packets were seen on; each must be on the queue's core.
func (b bed) queuesOf(t *testing.T, seen map[sighting]uint64) map[packet.Flow]map[rss.Queue]uint64 {
	t.Helper()
	queues := map[packet.Flow]map[rss.Queue]uint64{}
	for s, packets := range seen {
		if want := b.nic.Core(s.queue); s.core != want {
			t.Errorf("%v: queue %d on core %d, want core %d", s.flow, s.queue, s.core, want)
		}
		if queues[s.flow] == nil {
			queues[s.flow] = map[rss.Queue]uint64{}
		}
		queues[s.flow][s.queue] += packets
	}
	return queues
}

// The kernel's native XDP sees every packet on the queue, and the core, that the model predicts.
func TestEveryFrameIsOnItsQueueAndCore(t *testing.T) {
	b := newBed(t, 8, 4, 0)
	host, err := b.nic.Host()
	check(t, err)
	w := newWitness(t, host)
	all := b.serveHTTP(t, 100, func() {})
	b.exchangeUDP(t, 50)

	queues := b.queuesOf(t, w.sightings(t))
	perQueue := make([]uint64, 4)
	for flow, seen := range queues {
		want := b.model.ClassifyFlow(flow).Queue
		if len(seen) != 1 || seen[want] == 0 {
			t.Errorf("%v: packets by queue %v, want all on %d", flow, seen, want)
		}
		perQueue[want] += seen[want]
	}
	for _, r := range all {
		if queues[r.Flow] == nil {
			t.Errorf("%v was not seen", r.Flow)
		}
	}
	for q, stats := range b.nic.Stats().Queues {
		if stats.Frames != perQueue[q] || stats.Drops != 0 || stats.Frames == 0 {
			t.Errorf("queue %d: %+v, xdp saw %d", q, stats, perQueue[q])
		}
	}
	if len(queues) != 100+50 {
		t.Errorf("%d flows seen, want 100 of TCP and 50 of UDP", len(queues))
	}
}

// A table rewritten in mid-run moves exactly the flows that the model says, to where it says.
func TestSetTableMovesTheFlowsThatTheModelSays(t *testing.T) {
	b := newBed(t, 8, 4, 0)
	host, err := b.nic.Host()
	check(t, err)
	w := newWitness(t, host)
	rewritten := b.model.Config().Table
	for i := range rewritten[:64] {
		rewritten[i] = (rewritten[i] + 1) % 4
	}
	after := b.model.WithTable(rewritten)
	b.serveHTTP(t, 100, func() { check(t, b.nic.SetTable(rewritten)) })

	moved := 0
	for flow, seen := range b.queuesOf(t, w.sightings(t)) {
		from, to := b.model.ClassifyFlow(flow).Queue, after.ClassifyFlow(flow).Queue
		want := 1
		if from != to {
			want = 2
			moved++
		}
		if len(seen) != want || seen[from] == 0 || seen[to] == 0 {
			t.Errorf("%v: packets by queue %v, want queue %d, then %d", flow, seen, from, to)
		}
	}
	if moved == 0 || moved == 100 {
		t.Errorf("%d of 100 flows moved: the test sees nothing", moved)
	}
	if periods := b.nic.Periods(); len(periods) != 2 || periods[0][0].Frames == 0 || periods[1][0].Frames == 0 {
		t.Errorf("periods %+v, want two with frames", periods)
	}
}

// A NIC that deals packets out spreads each flow: the control for the two tests above.
func TestSprayIgnoresTheHash(t *testing.T) {
	b := newBed(t, 8, 4, 0)
	host, err := b.nic.Host()
	check(t, err)
	w := newWitness(t, host)
	b.nic.SetSpray(true)
	b.serveHTTP(t, 20, func() {})
	for flow, seen := range b.queuesOf(t, w.sightings(t)) {
		if len(seen) < 2 {
			t.Errorf("%v: packets by queue %v, want several queues", flow, seen)
		}
	}
}

func TestSetTableRefusesAQueueThatIsNotThere(t *testing.T) {
	b := newBed(t, 1, 2, 0)
	if err := b.nic.SetTable(rss.Table{0, 1, 2}); err == nil {
		t.Error("accepted queue 2 of 2")
	}
	if got := b.nic.NIC().Config().Table.Queues(); got != 2 {
		t.Errorf("the table now names %d queues, want 2 as before", got)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	descriptors := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		check(t, err)
		return len(all)
	}
	var before, after int
	t.Run("once", func(t *testing.T) { newBed(t, 1, 1, 0) }) // the runtime opens its own at first use
	before = descriptors()
	t.Run("again", func(t *testing.T) {
		b := newBed(t, 1, 4, 0)
		check(t, b.nic.Close())
		if _, err := b.nic.Host(); err == nil {
			t.Error("the host's interface is still there")
		}
		check(t, b.nic.Close())
	})
	if after = descriptors(); after != before {
		t.Errorf("%d descriptors open, before %d", after, before)
	}
}

// The clients merge, the balancer sees frames as they are.
func TestOnlyTheWireMerges(t *testing.T) {
	b := newBed(t, 1, 2, 0)
	wire, err := b.nic.Wire()
	check(t, err)
	host, err := b.nic.Host()
	check(t, err)
	if on, err := wire.Offloads(); err != nil || !slices.Contains(on, "gro") || slices.Contains(on, "tx-checksumming") {
		t.Errorf("wire: offloads %v, %v; want gro, no checksumming", on, err)
	}
	if on, err := host.Offloads(); err != nil || len(on) != 0 {
		t.Errorf("host: offloads %v, %v; want none", on, err)
	}
}
