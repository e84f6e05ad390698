package survive

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/traffic/hold"
)

// ledger says which connections are held: the set that the losses of a round are held against.
type ledger map[packet.Flow]held

// held is a connection: where its first message was answered, and when it, and its last message, was
// ordered. Both were sent later.
type held struct {
	hold.Place
	opened, spoke time.Time
	// rested: it was left out of the last round.
	rested bool
}

// period is a time from one moment to another; zero: there was none, it has no end.
type period struct{ from, to time.Time }

func (p period) has(t time.Time) bool {
	return !p.from.IsZero() && t.After(p.from) && (p.to.IsZero() || t.Before(p.to))
}

// enter takes note of a report about what was ordered at a time. Connections are closed a place at a time.
func (l ledger) enter(r hold.Report, ordered time.Time) {
	for _, lost := range r.Lost {
		delete(l, lost.Flow)
	}
	for _, c := range r.Closed {
		maps.DeleteFunc(l, func(_ packet.Flow, h held) bool { return h.Place == c.Place })
	}
	for _, o := range r.Opened {
		l[o.Flow] = held{Place: o.Place, opened: ordered, spoke: ordered}
	}
}

// asked takes note of a round that was ordered at a time, of all but those at silent places.
func (l ledger) asked(ordered time.Time, silent []hold.Place) {
	for flow, h := range l {
		h.rested = slices.Contains(silent, h.Place)
		if !h.rested {
			h.spoke = ordered
		}
		l[flow] = h
	}
}

// of returns how many connections there are to a VIP.
func (l ledger) of(vip netip.AddrPort) (n int) {
	for _, h := range l {
		if h.VIP == vip {
			n++
		}
	}
	return n
}
