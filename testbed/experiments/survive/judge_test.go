package survive

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/lb"
	"lbctl/rss/packet"
	"lbctl/testbed/cluster"
	"lbctl/testbed/traffic/hold"
)

func lostOne(flow packet.Flow, fate hold.Fate) hold.Lost { return hold.Lost{Flow: flow, Fate: fate} }

// numbered returns the n-th of some flows to a service.
func numbered(s *service, n int) packet.Flow { return opened(s, uint16(1024+n), 0).Flow }

// Connections of a replica that was removed have to end, those of all others are kept.
func TestJudge(t *testing.T) {
	s, another := modulo(), maglev()
	now := time.Now()
	p := &part{service: s, before: s.snapshot(), gone: []int{2}, flooded: period{from: now.Add(-time.Second)}}
	s.Idle = time.Minute
	all := connections{}
	for n, replica := range []int{0, 0, 0, 0, 2, 2, 2, 3} {
		all[numbered(s, n)] = held{Place: s.place(replica), opened: now.Add(-time.Hour), spoke: now}
	}
	all[numbered(s, 8)] = held{Place: s.place(1), spoke: now.Add(-2 * time.Minute)}
	all[numbered(s, 9)] = held{Place: s.place(1), opened: now, spoke: now}
	all[numbered(s, 10)] = held{Place: s.place(1), opened: now.Add(-time.Hour), spoke: now, skipped: true}
	all[numbered(s, 11)] = held{Place: s.place(1), opened: now.Add(-time.Hour), spoke: now, skipped: true}
	all[numbered(s, 12)] = held{Place: s.place(1), opened: now.Add(-time.Hour), spoke: now}
	all[numbered(another, 0)] = held{Place: another.place(0), spoke: now}
	p.judge(all, []hold.Lost{
		lostOne(numbered(s, 0), hold.Reset), lostOne(numbered(s, 1), hold.Silent), lostOne(numbered(s, 4), hold.Reset),
		lostOne(numbered(s, 5), hold.Silent), lostOne(numbered(s, 8), hold.Reset), lostOne(numbered(s, 9), hold.Reset),
		lostOne(numbered(another, 0), hold.Reset), lostOne(numbered(s, 10), hold.Reset),
		{Flow: numbered(s, 11), Fate: hold.Reset, Spoke: true}, {Flow: numbered(s, 12), Fate: hold.Reset, Spoke: true},
	}, []hold.Place{s.place(3)})
	f := p.found
	f.losses = nil
	want := finding{asked: 6, moved: 3, unanswered: 1, retransmitted: 1, mustBreak: 3, broke: 2, silent: 1, openedInFlood: 1, evicted: 1}
	if diff := cmp.Diff(want, f, cmp.AllowUnexported(finding{})); diff != "" || len(p.found.losses) != 4 {
		t.Errorf("found (-want +got), and %d losses:\n%s", len(p.found.losses), diff)
	}
}

// Without memory the table decides: the last one, and, if only for a moment, those on the way to it.
func TestFateByTheTable(t *testing.T) {
	s := newService("never", 0, 0, started, lb.Service{})
	f := numbered(s, 0)
	here := s.owner(f)
	// without returns the service without one of its replicas.
	without := func(replica int) *service {
		less := s.snapshot()
		d := less.Clone()
		d.Replicas, d.TableSize = slices.Delete(d.Replicas, replica, replica+1), 0
		less.set(d.WithDefaults())
		return less
	}
	elsewhere := without(here)
	for name, test := range map[string]struct {
		p    part
		h    held
		want fate
	}{
		"nothing changed":      {part{service: s}, held{Place: s.place(here)}, mustKeep},
		"owner is another":     {part{service: elsewhere}, held{Place: s.place(here)}, mustBreak},
		"for a moment":         {part{service: s, between: []*service{elsewhere}}, held{Place: s.place(here)}, undetermined},
		"its replica was down": {part{service: s}, held{Place: s.place(here), skipped: true}, undetermined},
	} {
		if got := test.p.fate(f, test.h); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// The connections holds what was opened and neither lost nor closed, and when it was asked.
func TestLedger(t *testing.T) {
	s := modulo()
	l := connections{}
	first, second := time.Unix(1, 0), time.Unix(2, 0)
	l.enter(hold.Report{Opened: []hold.Opened{opened(s, 1, 0), opened(s, 2, 0), opened(s, 3, 1), opened(s, 4, 2)}}, first)
	l.enter(hold.Report{Lost: []hold.Lost{lostOne(opened(s, 1, 0).Flow, hold.Reset)}, Closed: []hold.Count{{Place: s.place(2), Connections: 1}}}, second)
	l.asked(second, []hold.Place{s.place(1)})
	want := connections{
		opened(s, 2, 0).Flow: {Place: s.place(0), opened: first, spoke: second},
		opened(s, 3, 1).Flow: {Place: s.place(1), opened: first, spoke: first, skipped: true},
	}
	if !maps.Equal(l, want) || l.of(s.VIP.Address) != 2 || l.of(maglev().VIP.Address) != 0 {
		t.Errorf("connections %v, want %v", l, want)
	}
}

func opened(s *service, port uint16, replica int) hold.Opened {
	source := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 66, 0, 1}), port)
	return hold.Opened{Place: s.place(replica), Flow: packet.Flow{Source: source, Destination: s.VIP.Address, Protocol: packet.TCP}}
}

// New connections are compared with the present table and the one before.
func TestArrivals(t *testing.T) {
	s := modulo()
	before := s.snapshot()
	smaller := s.Clone()
	smaller.Replicas[1].State = lb.Draining
	smaller.TableSize = 0
	s.set(smaller.WithDefaults())
	var report hold.Report
	moved := 0
	for port := range uint16(1000) {
		o := opened(s, 1024+port, 0)
		o.Replica = s.owner(o.Flow)
		if o.Replica == 1 {
			t.Fatal("a replica that is draining is in the table")
		}
		if o.Replica != before.owner(o.Flow) {
			moved++
		}
		report.Opened = append(report.Opened, o)
	}
	report.Opened[0].Replica = 1
	report.Refused = []hold.Refused{{VIP: s.VIP.Address}, {VIP: maglev().VIP.Address}}
	f := arrivals(s, before, report)
	if f.opened != 1000 || f.misplaced != 1 || f.refused != 1 {
		t.Errorf("found %+v", f)
	}
	if f.older < moved-1 || f.older > moved+1 || moved < 500 {
		t.Errorf("%d are not by the older table, %d moved", f.older, moved)
	}
}

func TestSightings(t *testing.T) {
	f := packet.Flow{Source: netip.MustParseAddrPort("12.0.0.1:1024")}
	capture := func(packets uint64) cluster.Capture {
		c := cluster.Capture{}
		c.Flows = append(c.Flows, flowOf("12.9.9.9:1", 1), flowOf("12.0.0.1:1024", packets))
		return c
	}
	for name, test := range map[string]struct {
		captures []cluster.Capture
		serves   bool
		want     sightings
	}{
		"both at one":         {[]cluster.Capture{capture(2), {}}, true, sightings{flows: 1}},
		"one at each":         {[]cluster.Capture{capture(1), capture(1)}, true, sightings{flows: 1, misplaced: 1}},
		"its replica is gone": {[]cluster.Capture{capture(1), capture(1)}, false, sightings{}},
		"one is missing":      {[]cluster.Capture{capture(1), {}}, true, sightings{flows: 1, unseen: 1}},
		"none":                {[]cluster.Capture{{}, {}}, true, sightings{flows: 1, unseen: 1}},
		"the capture missed":  {[]cluster.Capture{capture(2), {Dropped: 1}}, true, sightings{flows: 1, unseen: 1}},
	} {
		var got sightings
		got.enter(seen(test.captures, f, 2), test.serves)
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
