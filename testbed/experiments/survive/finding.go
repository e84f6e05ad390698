package survive

import (
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
	"lbctl/testbed/traffic/hold"
)

// finding is what was found of the connections to a service.
type finding struct {
	// asked connections sent a message and had to be kept: of these moved ones were reset or answered by
	// another replica, broken ones got no answer or a wrong one.
	asked, moved, broken int
	// doomed ones had to be lost, and ended those of them that were. Of vague ones nothing can
	// be said, and vanished those of them that were lost.
	doomed, ended, vague, vanished int
	// overdue ones were lost after they had been silent for longer than the idle time: nothing is promised of them.
	overdue int
	// roused ones were lost after their client's kernel had sent something by itself since their replica was set
	// down, which nobody asked it to: what is sent while a replica is down goes to another one.
	roused int
	// amid are those that were opened while a flood of SYNs came, and pushed those of them that were lost: a flow that has only
	// started may have been pushed out.
	amid, pushed int
	// opened are new ones, refused those that could not be, astray those that are not where the table
	// puts them, and older those that are not where the table from before would have put them.
	opened, refused, astray, older int
	// fates are the first losses, for the report.
	fates []hold.Lost
}

// lost is how many were lost that had to be kept.
func (f finding) lost() int { return f.moved + f.broken }

// plus returns the sum.
func (f finding) plus(g finding) finding {
	return finding{
		asked: f.asked + g.asked, moved: f.moved + g.moved, broken: f.broken + g.broken,
		doomed: f.doomed + g.doomed, ended: f.ended + g.ended, vague: f.vague + g.vague, vanished: f.vanished + g.vanished,
		overdue: f.overdue + g.overdue, roused: f.roused + g.roused, amid: f.amid + g.amid, pushed: f.pushed + g.pushed,
		opened: f.opened + g.opened, refused: f.refused + g.refused, astray: f.astray + g.astray, older: f.older + g.older,
		fates: append(slices.Clone(f.fates), g.fates...),
	}
}

// promised is the finding if every connection had had to be kept.
func (f finding) promised() finding {
	f.asked += f.doomed + f.vague
	f.moved += f.ended + f.vanished
	return f
}

// fate is what has to become of a connection in a step.
type fate int

const (
	toKeep fate = iota
	toEnd
	toEither
)

// fate says what has to become of a connection, from what its service was and is alone: nothing that the load
// balancer says is asked. Where flows are remembered, those of a replica that is removed end. Where they are not, the
// table decides. A table that was there for a moment decides about a connection only if a packet of it came just
// then, as an acknowledgement that was delayed may (up to 40 ms, TCP_DELACK_MIN of the kernel's include/net/tcp.h).
func (p *part) fate(f packet.Flow, h held) fate {
	switch {
	case p.late(h.Replica):
		return toEither
	case p.service.Tracking != lb.Stateless && slices.Contains(p.gone, h.Replica):
		return toEnd
	case p.service.Tracking != lb.Stateless:
		return toKeep
	case p.service.owner(f) != h.Replica:
		return toEnd
	case h.rested || slices.ContainsFunc(p.way, func(s *service) bool { return s.owner(f) != h.Replica }):
		return toEither
	}
	return toKeep
}
