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
	SwitchStrays       = "switch-strays"
	KeptMeanwhile      = "kept-meanwhile"
)

// findings are what all arms found.
type findings struct {
	// tracked is about the services that remember flows, untracked about the one that does not.
	tracked, untracked finding
	// probes are flows with a change between two SYNs; embryos are of a flooded service and neighbours of another.
	probes, embryos, neighbours sightings
	syn, ack                    flooding
	kills, updates, purged      count
	cuts                        cuts
	// swaps is how many of the updates put another program in place.
	swaps    int
	switches count
	strays   strays
	// still is about messages while no service was changed; forgotten is the same after all that was pinned was removed, and
	// unserved are new connections to another service while it is.
	still, forgotten finding
	unserved         visit
}

// checks compares the findings with the claims. A check also fails when there was nothing to see.
func (f findings) checks() []report.Check {
	return []report.Check{
		kept(ConnectionsKept, f.tracked, "while replicas were added, removed, drained, weighted, set down and up again, and tables and hashes changed"),
		f.byTheTable(),
		f.retransmitted(),
		kept(SYNFloodKept, f.syn.finding, fmt.Sprintf("while %s SYNs of as many sources came and replicas changed", commas(f.syn.sent))),
		kept(ACKFloodKept, f.ack.finding, fmt.Sprintf("while %s ACKs of as many sources came and replicas changed", commas(f.ack.sent))),
		f.otherServed(),
		f.neighboursStay(),
		nothingLost(KillLost, f.kills, "the daemon was killed %d times"),
		f.oldOrNew(),
		f.converges(),
		f.updated(),
		nothingLost(SwitchLost, f.switches, "the table was replaced %d times"),
		f.noStrays(),
		kept(KeptMeanwhile, f.still, "in between, while daemons died and started, in a pause longer than the idle time, and at the end"),
	}
}

// kept: no connection was lost that had to be kept.
func kept(name string, f finding, when string) report.Check {
	return report.Check{
		Name: name, Measured: f.lost(), Expected: 0, Pass: f.lost() == 0 && f.asked > 0,
		Detail: fmt.Sprintf("%s times a connection sent a message %s: %s were reset or answered by another replica, %s had no answer or a wrong one.%s%s%s",
			commas(f.asked), when, commas(f.moved), commas(f.broken), excused(f), pushed(f), examples(f)),
	}
}

// excused names what is not counted.
func excused(f finding) (text string) {
	if f.overdue > 0 {
		text += fmt.Sprintf(" %s more were lost after they had been silent for longer than the idle time, for which nothing is promised.", commas(f.overdue))
	}
	if f.roused > 0 {
		text += fmt.Sprintf(" %s more were lost whose client's kernel sent something again while their replica was down.", commas(f.roused))
	}
	return text
}

// pushed names what became of connections that had only started in a flood.
func pushed(f finding) string {
	if f.amid == 0 {
		return ""
	}
	return fmt.Sprintf(" Connections that were opened in the midst of the SYNs, which push out flows that have only started, sent %s messages: %s were lost.", commas(f.amid), commas(f.pushed))
}

// examples are the first losses.
func examples(f finding) (text string) {
	for _, l := range f.fates[:min(len(f.fates), shown)] {
		text += fmt.Sprintf(" %v at replica %d: %s.", l.Flow, l.Replica, l.Err)
	}
	return text
}

// byTheTable: every new connection came to the replica that the new table names.
func (f findings) byTheTable() report.Check {
	t := f.tracked
	return report.Check{
		Name: NewByTheTable, Measured: t.astray + t.refused, Expected: 0, Pass: t.astray+t.refused == 0 && t.opened > 0,
		Detail: fmt.Sprintf("Of %s connections that started after a change, %s came to another replica than the new table names, and %s were not opened. A replica that is draining is in no table.",
			commas(t.opened+t.refused), commas(t.astray), commas(t.refused)),
	}
}

// retransmitted: a SYN that comes again after a change comes to the same replica.
func (f findings) retransmitted() report.Check {
	p := f.probes
	return report.Check{
		Name: RetransmittedSYN, Measured: p.astray, Expected: 0, Pass: p.astray == 0 && p.unseen == 0 && p.flows > 0,
		Detail: fmt.Sprintf("Of %s flows whose SYN came before a change and again after it, %s came to a second replica, and of %s not both were seen.",
			commas(p.flows), commas(p.astray), commas(p.unseen)),
	}
}

// otherServed: new connections to a service that is not flooded succeed.
func (f findings) otherServed() report.Check {
	failed, tried := 0, 0
	for _, v := range []visit{f.syn.other, f.ack.other} {
		failed, tried = failed+v.failed, tried+v.tried()
	}
	return report.Check{
		Name: OtherServiceServed, Measured: failed, Expected: 0, Pass: failed == 0 && tried > 0,
		Detail: fmt.Sprintf("Of %s connections to another service that were opened during the floods, %s failed; half were open and answered within %v in the SYN flood and %v in the ACK flood.",
			commas(tried), commas(failed), f.syn.other.quantile(0.5), f.ack.other.quantile(0.5)),
	}
}

// neighboursStay: a flood does not take the place of flows that have only started at another service.
func (f findings) neighboursStay() report.Check {
	n := f.neighbours
	return report.Check{
		Name: NeighboursStay, Measured: n.astray, Expected: 0, Pass: n.astray == 0 && n.unseen == 0 && n.flows > 0,
		Detail: fmt.Sprintf("%s flows had only started at another service when the SYN flood came. Each sent its SYN %s times, and before each time the seed of that service's hash changed: %s came to a second replica, and of %s not all were seen.",
			commas(n.flows), commas(n.times), commas(n.astray), commas(n.unseen)),
	}
}

// oldOrNew: whenever the daemon dies, packets find the old table or the new one.
func (f findings) oldOrNew() report.Check {
	c := f.cuts
	return report.Check{
		Name: CutIsOldOrNew, Measured: c.mixed, Expected: 0, Pass: c.mixed == 0 && c.times > 0,
		Detail: fmt.Sprintf("The daemon was killed in the middle of %s applies of two changed services: packets found the old table of %s services, the new one of %s, and neither of %s.",
			commas(c.times), commas(c.old), commas(c.renewed), commas(c.mixed)),
	}
}

// converges: the next start goes on with an intent that is whole, and makes it what packets find.
func (f findings) converges() report.Check {
	c := f.cuts
	wrong := c.halves + c.strange + c.diverged + c.forgotten
	return report.Check{
		Name: CutConverges, Measured: wrong, Expected: 0, Pass: wrong == 0 && c.times > 0,
		Detail: fmt.Sprintf("After %s such deaths and the next start, %s times one of the two services was intended as before and one as after, %s times neither as before nor as after, %s tables were others than intended, and %s changes that had been answered as done were not there.",
			commas(c.times), commas(c.halves), commas(c.strange), commas(c.diverged), commas(c.forgotten)),
	}
}

// nothingLost: every frame of a load came to a replica.
func nothingLost(name string, c count, what string) report.Check {
	return report.Check{
		Name: name, Measured: c.lost(), Expected: 0, Pass: c.lost() == 0 && c.times > 0 && c.sent >= uint64(c.times)*between,
		Detail: fmt.Sprintf("%s frames were sent while "+what+": replicas took %s, %s found the ring of a replica's link full, %s were never seen again.",
			commas(c.sent), c.times, commas(c.taken), commas(c.dropped), commas(c.lost())),
	}
}

// updated: the program was another one after each start of the daemon, and no frame was lost.
func (f findings) updated() report.Check {
	c := nothingLost(UpdateLost, f.updates, "the daemon was started anew %d times")
	c.Pass = c.Pass && f.swaps == f.updates.times
	c.Detail += fmt.Sprintf(" %s of these starts put another program in place.", commas(f.swaps))
	return c
}

// noStrays: no frame came to a replica that is neither in the old table nor in the new one.
func (f findings) noStrays() report.Check {
	return report.Check{
		Name: SwitchStrays, Measured: f.strays.outside, Expected: 0, Pass: f.strays.outside == 0 && f.strays.inside > 0,
		Detail: fmt.Sprintf("In %s switches of the table under load, %s frames came to a replica of neither table, and %s to one of the new table alone.",
			commas(f.switches.times), commas(f.strays.outside), commas(f.strays.inside)),
	}
}

// commas writes a number as a reader would.
func commas[N int | uint64](n N) string { return report.Cell(n) }
