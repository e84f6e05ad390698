package survive

import (
	"fmt"

	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// Names of the controls.
const (
	Untracked        = "untracked"
	FloodUntracked   = "untracked-under-flood"
	RemovedUndrained = "removed-without-drain"
	OlderTable       = "older-table"
	HalfOpenEvicted  = "half-open-evicted"
	ThirdTable       = "third-table"
	Purged           = "purged"
	Forgotten        = "purged-memory"
	Unserved         = "purged-service"
	TableUnknown     = "table-unknown"
	Excused          = "losses-excused"
)

// controls are arms in which something was broken on purpose: the checks that each aims at must fail there.
func (f findings) controls() []report.Check {
	return []report.Check{
		f.controlUntracked(), f.controlFlood(), f.controlRemoved(), f.controlOlder(), f.controlHalfOpen(),
		f.controlThird(), f.controlPurged(), f.inTime(f.controlForgotten()), f.controlUnserved(), f.controlTable(), f.inTime(f.controlExcused()),
	}
}

// counted is a control that passes if what it broke was seen to happen, and its aims failed.
func counted[N int | uint64](name string, measured N, detail string, aims ...report.Check) report.Check {
	return experiment.Flips(report.Check{Name: name, Measured: measured, Expected: "> 0", Pass: measured > 0, Detail: detail}, aims...)
}

// controlUntracked: without memory of flows the same changes break exactly those connections whose owner by the table changes.
func (f findings) controlUntracked() report.Check {
	return byTable(Untracked, f.untracked, kept(ConnectionsKept, f.untracked.promised(), ""))
}

// controlFlood: the same during the floods.
func (f findings) controlFlood() report.Check {
	syn, ack := f.syn.untracked, f.ack.untracked
	return byTable(FloodUntracked, syn.plus(ack), kept(SYNFloodKept, syn.promised(), ""), kept(ACKFloodKept, ack.promised(), ""))
}

func byTable(name string, u finding, aims ...report.Check) report.Check {
	return experiment.Flips(report.Check{
		Name: name, Measured: u.broke + u.lost(), Expected: u.mustBreak, Pass: u.broke == u.mustBreak && u.lost() == 0 && u.mustBreak > 0,
		Detail: fmt.Sprintf("A service that remembers no flows was changed in the same ways. By its tables alone %s connections had to be lost, of which %s were, and %s to be kept, of which %s were lost; of %s more, whose owner changed for a moment, %s were lost.%s",
			report.Cell(u.mustBreak), report.Cell(u.broke), report.Cell(u.asked), report.Cell(u.lost()), report.Cell(u.undetermined), report.Cell(u.undeterminedLost), examples(u)),
	}, aims...)
}

// controlRemoved: a replica that is removed without drain loses all its connections, and no other replica loses any.
func (f findings) controlRemoved() report.Check {
	t := f.tracked
	return experiment.Flips(report.Check{
		Name: RemovedUndrained, Measured: t.broke, Expected: t.mustBreak, Pass: t.broke == t.mustBreak && t.mustBreak > 0,
		Detail: fmt.Sprintf("Replicas with %s connections were removed without drain: %s of these connections broke. Had they had to be kept:",
			report.Cell(t.mustBreak), report.Cell(t.broke)),
	}, kept(ConnectionsKept, t.promised(), ""))
}

// controlOlder: compared with the table from before the change, new connections are misplaced.
func (f findings) controlOlder() report.Check {
	aim := f
	aim.tracked.misplaced = f.tracked.older
	return counted(OlderTable, f.tracked.older, fmt.Sprintf("Of %s connections that started after a change, %s are not where the table from before it would have put them.",
		report.Cell(f.tracked.opened), report.Cell(f.tracked.older)), aim.byTheTable())
}

// controlHalfOpen: the flood does evict half-open flows of the flooded service.
func (f findings) controlHalfOpen() report.Check {
	aim := f
	aim.probes, aim.neighbours = f.halfOpen, f.halfOpen
	return counted(HalfOpenEvicted, f.halfOpen.misplaced, fmt.Sprintf("Of %s flows of a flooded service that were half-open when the SYN flood came, %s started again elsewhere after it: the flood and the changes do evict flows, but no established one.",
		report.Cell(f.halfOpen.flows), report.Cell(f.halfOpen.misplaced)), aim.retransmitted(), aim.neighboursStay())
}

// controlThird: compared with a table that no service ever had, packets met neither table.
func (f findings) controlThird() report.Check {
	aim := f
	aim.cuts.mixed, aim.cuts.diverged = f.cuts.confused, f.cuts.confused
	return counted(ThirdTable, f.cuts.confused, fmt.Sprintf("Compared with a table that no service ever had, packets would have met the tables of none of %s services.",
		report.Cell(f.cuts.confused)), aim.oldOrNew(), aim.converges())
}

// controlPurged: a daemon that is killed and whose pins are removed loses frames.
func (f findings) controlPurged() report.Check {
	what := "the daemon was killed and its pins were removed %d time"
	aim := nothingLost(KillLost, f.purged, what)
	return counted(Purged, f.purged.lost(), aim.Detail, aim, nothingLost(UpdateLost, f.purged, what), nothingLost(SwitchLost, f.purged, what))
}

// controlForgotten: without the pins the memory of flows is gone.
func (f findings) controlForgotten() report.Check {
	return counted(Forgotten, f.forgotten.lost(), fmt.Sprintf("After the pins were removed and the daemon was started again, %s of %s connections were lost.",
		report.Cell(f.forgotten.lost()), report.Cell(f.forgotten.asked)), kept(KeptMeanwhile, f.forgotten, ""))
}

// inTime leaves a control undetermined if the machine was so slow that every connection was silent for too long before it was asked
// after the purge.
func (f findings) inTime(c report.Check) report.Check {
	if f.forgotten.asked == 0 && f.forgotten.excluded() > 0 {
		c.Pass, c.Verdict = false, report.Undetermined
	}
	return c
}

// controlUnserved: without pins no service is served.
func (f findings) controlUnserved() report.Check {
	aim := f
	aim.syn.other, aim.ack.other = f.unserved, f.unserved
	return counted(Unserved, f.unserved.failed, fmt.Sprintf("Of %s connections to another service that were opened while the pins were removed, %s failed.",
		report.Cell(f.unserved.tried()), report.Cell(f.unserved.failed)), aim.otherServed())
}

// controlTable: compared with the old table alone, frames to the new one are misrouted.
func (f findings) controlTable() report.Check {
	aim := f
	aim.misrouted.outside = f.misrouted.inside
	return counted(TableUnknown, f.misrouted.inside, fmt.Sprintf("%s frames came to replicas of the new table that the old one did not have. Had the new table not been known, they would have been misrouted.",
		report.Cell(f.misrouted.inside)), aim.noneMisrouted())
}

// controlExcused: many losses cannot be excused as silence.
func (f findings) controlExcused() report.Check {
	aim := f
	aim.still.silent += f.forgotten.lost()
	aim.still.excludedLost += f.forgotten.lost()
	return counted(Excused, f.forgotten.lost(), fmt.Sprintf("Had the %s connections that were lost with the pins been excluded as silent for too long:",
		report.Cell(f.forgotten.lost())), aim.hardlyExcluded())
}
