package survive

import (
	"fmt"

	"lbctl/testbed/report"
)

// Names of the checks.
const (
	ConnectionsKept    = "connections-kept"
	NewByTheTable      = "new-by-the-table"
	RetransmittedSYN   = "retransmitted-syn-stays"
	SYNFloodKept       = "syn-flood-kept"
	ACKFloodKept       = "ack-flood-kept"
	OtherServiceServed = "other-service-served"
	NeighboursStay     = "neighbours-stay"
	KillLost           = "kill-lost"
	CutIsOldOrNew      = "cut-apply-old-or-new"
	CutConverges       = "cut-apply-converges"
	UpdateLost         = "update-lost"
	SwitchLost         = "switch-lost"
	SwitchMisrouted    = "switch-misrouted"
	KeptMeanwhile      = "kept-meanwhile"
	HardlyExcluded     = "hardly-any-excluded"
)

// findings are what all arms found.
type findings struct {
	// tracked is about the services that remember flows, untracked about the one that does not.
	tracked, untracked finding
	// probes are flows with a change between two SYNs. halfOpen are half-open flows of a flooded service, neighbours those of another.
	probes, halfOpen, neighbours sightings
	syn, ack                     flooding
	kills, updates, purged       count
	cuts                         cuts
	// swaps is how many of the updates put another program in place.
	swaps     int
	switches  count
	misrouted misrouted
	// still is about messages while no service was changed, forgotten about messages after all pins were removed.
	// unserved are new connections to another service while they are removed.
	still, forgotten finding
	unserved         visit
}

// checks compares the findings with the claims. A check also fails if nothing was observed.
func (f findings) checks() []report.Check {
	return []report.Check{
		kept(ConnectionsKept, f.tracked, "while replicas were added, removed, drained, weighted, set down and up again, and tables and hashes changed"),
		f.byTheTable(),
		f.retransmitted(),
		kept(SYNFloodKept, f.syn.finding, fmt.Sprintf("while %s SYNs of as many sources came and replicas changed", report.Cell(f.syn.sent))),
		kept(ACKFloodKept, f.ack.finding, fmt.Sprintf("while %s ACKs of as many sources came and replicas changed", report.Cell(f.ack.sent))),
		f.otherServed(),
		f.neighboursStay(),
		nothingLost(KillLost, f.kills, "the daemon was killed %d times"),
		f.oldOrNew(),
		f.converges(),
		f.updated(),
		nothingLost(SwitchLost, f.switches, "the table was replaced %d times"),
		f.noneMisrouted(),
		kept(KeptMeanwhile, f.still, "in between, while daemons died and started, in a pause longer than the idle time, and at the end"),
		f.hardlyExcluded(),
	}
}

// perMille is how many of a thousand messages may be excluded.
const perMille = 1

// hardlyExcluded demands that nearly all messages count: a slow machine must not excuse what the load balancer lost. If more are
// excluded and none of them was lost, nothing is determined.
func (f findings) hardlyExcluded() report.Check {
	all := f.tracked.plus(f.syn.finding).plus(f.ack.finding).plus(f.still)
	n := all.excluded()
	verdict := report.Undetermined
	if all.asked == 0 || all.excludedLost > 0 {
		verdict = report.Fail
	}
	return report.Check{
		Verdict: verdict, Name: HardlyExcluded, Measured: n, Expected: fmt.Sprintf("at most %d of 1,000", perMille), Pass: n*1000 <= perMille*(n+all.asked) && all.asked > 0,
		Detail: fmt.Sprintf("Beside %s messages that had to be answered, %s were excluded before their answers were known, of which %s were lost. %s came after more silence than the idle time, for which nothing is promised; before %s their client's kernel had sent something again while their replica was down; %s came when their replica was about to be set down.",
			report.Cell(all.asked), report.Cell(n), report.Cell(all.excludedLost), report.Cell(all.silent), report.Cell(all.retransmitted), report.Cell(all.late)),
	}
}

// kept demands that no connection was lost that had to be kept.
func kept(name string, f finding, when string) report.Check {
	return report.Check{
		Name: name, Measured: f.lost(), Expected: 0, Pass: f.lost() == 0 && f.asked > 0,
		Detail: fmt.Sprintf("%s times a connection sent a message %s: %s were reset or answered by another replica, %s had no answer or a wrong one.%s%s",
			report.Cell(f.asked), when, report.Cell(f.moved), report.Cell(f.unanswered), evicted(f), examples(f)),
	}
}

// evicted says what became of connections that were opened in a flood.
func evicted(f finding) string {
	if f.openedInFlood == 0 {
		return ""
	}
	return fmt.Sprintf(" Connections that were opened during the SYN flood, which evicts half-open flows, sent %s messages: %s were lost.", report.Cell(f.openedInFlood), report.Cell(f.evicted))
}

// examples are the first losses.
func examples(f finding) (text string) {
	for _, l := range f.losses[:min(len(f.losses), shown)] {
		text += fmt.Sprintf(" %v at replica %d: %s.", l.Flow, l.Replica, l.Err)
	}
	return text
}

// byTheTable demands that every new connection reached the replica that the new table names.
func (f findings) byTheTable() report.Check {
	t := f.tracked
	return report.Check{
		Name: NewByTheTable, Measured: t.misplaced + t.refused, Expected: 0, Pass: t.misplaced+t.refused == 0 && t.opened > 0,
		Detail: fmt.Sprintf("Of %s connections that started after a change, %s came to another replica than the new table names, and %s were not opened. A replica that is draining is in no table.",
			report.Cell(t.opened+t.refused), report.Cell(t.misplaced), report.Cell(t.refused)),
	}
}

// retransmitted demands that a SYN that comes again after a change reaches the same replica.
func (f findings) retransmitted() report.Check {
	p := f.probes
	return report.Check{
		Name: RetransmittedSYN, Measured: p.misplaced, Expected: 0, Pass: p.misplaced == 0 && p.unseen == 0 && p.flows > 0,
		Detail: fmt.Sprintf("Of %s flows whose SYN came before a change and again after it, %s came to a second replica, and of %s not both were seen.",
			report.Cell(p.flows), report.Cell(p.misplaced), report.Cell(p.unseen)),
	}
}

// otherServed demands that new connections to a service that is not flooded succeed.
func (f findings) otherServed() report.Check {
	failed, tried := 0, 0
	for _, v := range []visit{f.syn.other, f.ack.other} {
		failed, tried = failed+v.failed, tried+v.tried()
	}
	return report.Check{
		Name: OtherServiceServed, Measured: failed, Expected: 0, Pass: failed == 0 && tried > 0,
		Detail: fmt.Sprintf("Of %s connections to another service that were opened during the floods, %s failed; half were open and answered within %v in the SYN flood and %v in the ACK flood.",
			report.Cell(tried), report.Cell(failed), f.syn.other.quantile(0.5), f.ack.other.quantile(0.5)),
	}
}

// neighboursStay demands that a flood evicts no half-open flow of another service.
func (f findings) neighboursStay() report.Check {
	n := f.neighbours
	return report.Check{
		Name: NeighboursStay, Measured: n.misplaced, Expected: 0, Pass: n.misplaced == 0 && n.unseen == 0 && n.flows > 0,
		Detail: fmt.Sprintf("%s flows of another service were half-open when the SYN flood came. Each sent its SYN %s times, and before each time the seed of that service's hash changed: %s came to a second replica, and of %s not all were seen.",
			report.Cell(n.flows), report.Cell(n.times), report.Cell(n.misplaced), report.Cell(n.unseen)),
	}
}

// oldOrNew demands that packets meet the old table or the new one, whenever the daemon dies.
func (f findings) oldOrNew() report.Check {
	c := f.cuts
	return report.Check{
		Name: CutIsOldOrNew, Measured: c.mixed, Expected: 0, Pass: c.mixed == 0 && c.times > 0,
		Detail: fmt.Sprintf("The daemon was killed in the middle of %s applies of two changed services: packets found the old table of %s services, the new one of %s, and neither of %s.",
			report.Cell(c.times), report.Cell(c.old), report.Cell(c.renewed), report.Cell(c.mixed)),
	}
}

// converges demands that the next start goes on with a whole intent and makes it effective.
func (f findings) converges() report.Check {
	c := f.cuts
	wrong := c.halves + c.strange + c.diverged + c.forgotten
	return report.Check{
		Name: CutConverges, Measured: wrong, Expected: 0, Pass: wrong == 0 && c.times > 0,
		Detail: fmt.Sprintf("After %s such deaths and the next start, %s times one of the two services was intended as before and one as after, %s times neither as before nor as after, %s tables were others than intended, and %s changes that had been answered as done were not there.",
			report.Cell(c.times), report.Cell(c.halves), report.Cell(c.strange), report.Cell(c.diverged), report.Cell(c.forgotten)),
	}
}

// nothingLost demands that every frame of a load arrived at a replica.
func nothingLost(name string, c count, what string) report.Check {
	return report.Check{
		Name: name, Measured: c.lost(), Expected: 0, Pass: c.lost() == 0 && c.times > 0 && c.sent >= uint64(c.times)*between,
		Detail: fmt.Sprintf("%s frames were sent while "+what+": replicas took %s, %s found the ring of a replica's link full, %s disappeared.",
			report.Cell(c.sent), c.times, report.Cell(c.taken), report.Cell(c.dropped), report.Cell(c.lost())),
	}
}

// updated demands that each start of the daemon put another program in place, and that no frame was lost.
func (f findings) updated() report.Check {
	c := nothingLost(UpdateLost, f.updates, "the daemon was started anew %d times")
	c.Pass = c.Pass && f.swaps == f.updates.times
	c.Detail += fmt.Sprintf(" %s of these starts put another program in place.", report.Cell(f.swaps))
	return c
}

// noneMisrouted demands that no frame came to a replica that is neither in the old table nor in the new one.
func (f findings) noneMisrouted() report.Check {
	return report.Check{
		Name: SwitchMisrouted, Measured: f.misrouted.outside, Expected: 0, Pass: f.misrouted.outside == 0 && f.misrouted.inside > 0,
		Detail: fmt.Sprintf("In %s switches of the table under load, %s frames came to a replica of neither table, and %s to one of the new table alone.",
			report.Cell(f.switches.times), report.Cell(f.misrouted.outside), report.Cell(f.misrouted.inside)),
	}
}
