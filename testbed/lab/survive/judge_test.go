package survive

import (
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/rss/packet"
	"lbctl/testbed/lab/stage"
	"lbctl/testbed/traffic/hold"
)

func counted(s *service, replica, n int) hold.Count {
	return hold.Count{Place: s.place(replica), Connections: n}
}

func lostOne(s *service, replica int, fate hold.Fate) hold.Lost {
	return hold.Lost{Place: s.place(replica), Fate: fate}
}

// Connections of a replica that was removed are no loss, those of all others are.
func TestJudge(t *testing.T) {
	s, another := modulo(), maglev()
	p := &part{service: s, before: s.snapshot(), gone: []int{2}}
	held := holding{s.place(0): 10, s.place(2): 3, another.place(2): 100}
	p.judge(hold.Report{
		Kept: []hold.Count{counted(s, 0, 5), counted(s, 0, 3), counted(s, 2, 1), counted(another, 0, 50)},
		Lost: []hold.Lost{
			lostOne(s, 0, hold.Reset), lostOne(s, 0, hold.Silent), lostOne(s, 2, hold.Reset), lostOne(s, 2, hold.Silent),
			lostOne(another, 0, hold.Reset),
		},
	}, held)
	f := p.found
	if f.asked != 10 || f.moved != 1 || f.broken != 1 || f.doomed != 3 || f.ended != 2 || f.lost() != 2 || len(f.fates) != 2 {
		t.Errorf("found %+v", f)
	}
}

func opened(s *service, port uint16, replica int) hold.Opened {
	source := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 66, 0, 1}), port)
	return hold.Opened{Place: s.place(replica), Flow: packet.Flow{Source: source, Destination: s.VIP.Address, Protocol: packet.TCP}}
}

// New connections are held against the table of now and that of before.
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
	if f.opened != 1000 || f.astray != 1 || f.refused != 1 {
		t.Errorf("found %+v", f)
	}
	if f.older < moved-1 || f.older > moved+1 || moved < 500 {
		t.Errorf("%d are not by the older table, %d moved", f.older, moved)
	}
}

func TestSightings(t *testing.T) {
	f := packet.Flow{Source: netip.MustParseAddrPort("12.0.0.1:1024")}
	capture := func(packets uint64) stage.Capture {
		c := stage.Capture{}
		c.Flows = append(c.Flows, flowOf("12.9.9.9:1", 1), flowOf("12.0.0.1:1024", packets))
		return c
	}
	for name, test := range map[string]struct {
		captures []stage.Capture
		serves   bool
		want     sightings
	}{
		"both at one":         {[]stage.Capture{capture(2), {}}, true, sightings{flows: 1}},
		"one at each":         {[]stage.Capture{capture(1), capture(1)}, true, sightings{flows: 1, astray: 1}},
		"its replica is gone": {[]stage.Capture{capture(1), capture(1)}, false, sightings{}},
		"one is missing":      {[]stage.Capture{capture(1), {}}, true, sightings{flows: 1, unseen: 1}},
		"none":                {[]stage.Capture{{}, {}}, true, sightings{flows: 1, unseen: 1}},
		"the capture missed":  {[]stage.Capture{capture(2), {Dropped: 1}}, true, sightings{flows: 1, unseen: 1}},
	} {
		var got sightings
		got.enter(seen(test.captures, f, 2), test.serves)
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
