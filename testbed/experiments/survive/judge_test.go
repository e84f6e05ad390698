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

// Connections of a replica that was removed have to end, those of all others are kept. What is excluded is so by what
// was known of it before its answer, lost or not.
func TestJudge(t *testing.T) {
	s, another := modulo(), maglev()
	now := time.Now()
	s.Idle = time.Minute
	p := &part{service: s, before: s.snapshot(), gone: []int{2}, flooded: period{from: now.Add(-time.Second)},
		changes: []change{{kind: expire, replica: 4}}, deadline: now.Add(time.Second)}
	all, round := connections{}, hold.Report{}
	add := func(n, replica int, h held, a hold.Asked, lost ...hold.Fate) {
		h.Place = s.place(replica)
		a.Flow = numbered(s, n)
		all[a.Flow] = h
		round.Asked = append(round.Asked, a)
		for _, fate := range lost {
			round.Lost = append(round.Lost, lostOne(a.Flow, fate))
		}
	}
	old, prompt := held{opened: now.Add(-time.Hour)}, hold.Asked{Sent: now, Silence: time.Minute}
	down := held{opened: old.opened, skipped: true}
	mute, spoke, late := prompt, prompt, prompt
	mute.Silence++
	spoke.Spoke = true
	late.Sent = p.deadline.Add(-exchanged + 1)
	add(0, 0, old, prompt, hold.Reset)
	add(1, 0, old, prompt, hold.Silent)
	add(2, 0, old, prompt)
	add(3, 0, old, prompt)
	add(4, 2, old, prompt, hold.Reset)
	add(5, 2, old, mute, hold.Silent)
	add(6, 2, old, prompt)
	add(7, 3, old, prompt)
	for n, lost := range [][]hold.Fate{nil, {hold.Reset}} {
		add(10+n, 1, old, mute, lost...)
		add(20+n, 1, held{opened: now}, mute, lost...)
		add(30+n, 1, down, prompt, lost...)
		add(40+n, 1, down, spoke, lost...)
		add(50+n, 1, old, spoke, lost...)
		add(60+n, 4, old, late, lost...)
		add(70+n, 4, old, prompt, lost...)
		add(80+n, 1, old, late, lost...)
	}
	all[numbered(another, 0)] = held{Place: another.place(0)}
	if err := p.judge(all, round, []hold.Place{s.place(3)}); err != nil {
		t.Fatal(err)
	}
	f := p.found
	f.losses = nil
	want := finding{asked: 12, moved: 5, unanswered: 1, mustBreak: 3, broke: 2,
		silent: 2, retransmitted: 2, late: 2, excludedLost: 3, openedInFlood: 2, evicted: 1}
	if diff := cmp.Diff(want, f, cmp.AllowUnexported(finding{})); diff != "" || len(p.found.losses) != 5 {
		t.Errorf("found (-want +got), and %d losses:\n%s", len(p.found.losses), diff)
	}
	if err := p.judge(all, hold.Report{}, nil); err == nil {
		t.Error("connections that were not asked are judged")
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
		if got := test.p.fate(test.h, hold.Asked{Flow: f}); got != test.want {
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
	l.asked([]hold.Place{s.place(1)})
	want := connections{
		opened(s, 2, 0).Flow: {Place: s.place(0), opened: first},
		opened(s, 3, 1).Flow: {Place: s.place(1), opened: first, skipped: true},
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
