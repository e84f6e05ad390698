package survive

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/traffic/hold"
)

// connections are those that are held now, by flow.
type connections map[packet.Flow]held

// held is a connection that is held.
type held struct {
	// Place is where its first message was answered.
	hold.Place
	// opened is when the connection was ordered. It came later.
	opened time.Time
	// skipped tells whether the last round left it out, because its replica was down.
	skipped bool
}

// period is a time from one moment to another. A zero from: there was none; a zero to: it has not ended.
type period struct{ from, to time.Time }

func (p period) has(t time.Time) bool {
	return !p.from.IsZero() && t.After(p.from) && (p.to.IsZero() || t.Before(p.to))
}

// enter records a report about what was ordered at a time. Connections are closed a whole place at a time.
func (c connections) enter(r hold.Report, ordered time.Time) {
	for _, lost := range r.Lost {
		delete(c, lost.Flow)
	}
	for _, closed := range r.Closed {
		maps.DeleteFunc(c, func(_ packet.Flow, h held) bool { return h.Place == closed.Place })
	}
	for _, o := range r.Opened {
		c[o.Flow] = held{Place: o.Place, opened: ordered}
	}
}

// asked records a round that left out the connections at silent places.
func (c connections) asked(silent []hold.Place) {
	for flow, h := range c {
		h.skipped = slices.Contains(silent, h.Place)
		c[flow] = h
	}
}

// of returns how many connections there are to a VIP.
func (c connections) of(vip netip.AddrPort) (n int) {
	for _, h := range c {
		if h.VIP == vip {
			n++
		}
	}
	return n
}

// finding is what became of the connections to a service.
type finding struct {
	// asked connections sent a message and had to be kept. Of these, moved ones were reset or answered by
	// another replica; unanswered ones got no answer or a wrong one.
	asked, moved, unanswered int
	// mustBreak ones had to break, and broke is how many of them did. Nothing can be said of undetermined ones,
	// of which undeterminedLost were lost.
	mustBreak, broke, undetermined, undeterminedLost int
	// What is excluded from asked, whatever then became of it. silent ones had been silent for longer than the idle
	// time, for which nothing is promised. Of retransmitted ones the client's kernel had sent something by itself while
	// their replica was down: such a packet goes to another replica. late ones sent their message when the
	// deadline of their replica was near. excludedLost is how many of all of these were lost.
	silent, retransmitted, late, excludedLost int
	// openedInFlood ones were opened during a SYN flood, which evicts half-open flows: evicted is how many of them were lost.
	openedInFlood, evicted int
	// opened are new connections, refused those that could not be opened. misplaced ones are not where the table
	// puts them, older ones not where the table from before the change would have put them.
	opened, refused, misplaced, older int
	// losses are the first that had to be kept, for the report.
	losses []hold.Lost
}

// lost is how many of those that had to be kept were lost.
func (f finding) lost() int { return f.moved + f.unanswered }

// excluded is how many messages are not counted, though their connections were to be kept.
func (f finding) excluded() int { return f.silent + f.retransmitted + f.late }

// plus returns the sum.
func (f finding) plus(g finding) finding {
	return finding{
		asked: f.asked + g.asked, moved: f.moved + g.moved, unanswered: f.unanswered + g.unanswered,
		mustBreak: f.mustBreak + g.mustBreak, broke: f.broke + g.broke,
		undetermined: f.undetermined + g.undetermined, undeterminedLost: f.undeterminedLost + g.undeterminedLost,
		silent: f.silent + g.silent, retransmitted: f.retransmitted + g.retransmitted, late: f.late + g.late, excludedLost: f.excludedLost + g.excludedLost,
		openedInFlood: f.openedInFlood + g.openedInFlood, evicted: f.evicted + g.evicted,
		opened: f.opened + g.opened, refused: f.refused + g.refused, misplaced: f.misplaced + g.misplaced, older: f.older + g.older,
		losses: append(slices.Clone(f.losses), g.losses...),
	}
}

// promised returns the finding as it would be if every connection had had to be kept.
func (f finding) promised() finding {
	f.asked += f.mustBreak + f.undetermined
	f.moved += f.broke + f.undeterminedLost
	return f
}
