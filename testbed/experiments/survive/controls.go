package survive

import (
	"fmt"

	"lbctl/testbed/report"
)

// Names of the controls.
const (
	Untracked        = "untracked"
	FloodUntracked   = "untracked-under-flood"
	RemovedUndrained = "removed-without-drain"
	OlderTable       = "older-table"
	EmbryosEvicted   = "embryos-evicted"
	ThirdTable       = "third-table"
	Purged           = "purged"
	Forgotten        = "purged-memory"
	Unserved         = "purged-service"
	TableUnknown     = "table-unknown"
)

// controls are arms in which something was broken on purpose: the checks that each aims at must fail there.
func (f findings) controls() []report.Check {
	return []report.Check{
		f.controlUntracked(), f.controlFlood(), f.controlRemoved(), f.controlOlder(), f.controlEmbryos(),
		f.controlThird(), f.controlPurged(), f.controlForgotten(), f.controlUnserved(), f.controlTable(),
	}
}

// fail tells whether all aims of a control failed, as they had to, and says so.
func fail(aims ...report.Check) (all bool, text string) {
	all = true
	for _, aim := range aims {
		if aim.Pass {
			all = false
			text += fmt.Sprintf(" %s passed, though it had to fail.", aim.Name)
		} else {
			text += fmt.Sprintf(" %s failed, as it must.", aim.Name)
		}
	}
	return all, text
}

// control is a control that counts what must be there at all.
func control[N int | uint64](name string, measured N, detail string, aims ...report.Check) report.Check {
	flipped, text := fail(aims...)
	return report.Check{Name: name, Measured: measured, Expected: "> 0", Pass: flipped && measured > 0, Detail: detail + text}
}

// controlUntracked: without memory of flows the same changes break the connections whose owner is another one
// by the table, all of them, and no others.
func (f findings) controlUntracked() report.Check {
	return byTable(Untracked, f.untracked, kept(ConnectionsKept, f.untracked.promised(), ""))
}

// controlFlood: the same during the floods.
func (f findings) controlFlood() report.Check {
	syn, ack := f.syn.untracked, f.ack.untracked
	return byTable(FloodUntracked, syn.plus(ack), kept(SYNFloodKept, syn.promised(), ""), kept(ACKFloodKept, ack.promised(), ""))
}

func byTable(name string, u finding, aims ...report.Check) report.Check {
	flipped, text := fail(aims...)
	return report.Check{
		Name: name, Measured: u.ended + u.lost(), Expected: u.doomed, Pass: flipped && u.ended == u.doomed && u.lost() == 0 && u.doomed > 0,
		Detail: fmt.Sprintf("A service that remembers no flows was changed in the same ways. By its tables alone %s connections had to be lost, of which %s were, and %s to be kept, of which %s were lost; of %s more, whose owner was another one for a moment, %s were lost.%s%s",
			commas(u.doomed), commas(u.ended), commas(u.asked), commas(u.lost()), commas(u.vague), commas(u.vanished), examples(u), text),
	}
}

// controlRemoved: a replica that is removed without drain loses its connections, all of them, and no other's.
func (f findings) controlRemoved() report.Check {
	t := f.tracked
	flipped, text := fail(kept(ConnectionsKept, t.promised(), ""))
	return report.Check{
		Name: RemovedUndrained, Measured: t.ended, Expected: t.doomed, Pass: flipped && t.ended == t.doomed && t.doomed > 0,
		Detail: fmt.Sprintf("Replicas with %s connections were removed without drain: %s of these connections ended. Had they had to be kept:%s",
			commas(t.doomed), commas(t.ended), text),
	}
}

// controlOlder: held against the table from before the change, new connections are astray.
func (f findings) controlOlder() report.Check {
	aim := f
	aim.tracked.astray = f.tracked.older
	return control(OlderTable, f.tracked.older, fmt.Sprintf("Of %s connections that started after a change, %s are not where the table from before it would have put them.",
		commas(f.tracked.opened), commas(f.tracked.older)), aim.byTheTable())
}

// controlEmbryos: the flood is one that takes the place of flows that have only started.
func (f findings) controlEmbryos() report.Check {
	aim := f
	aim.probes, aim.neighbours = f.embryos, f.embryos
	return control(EmbryosEvicted, f.embryos.astray, fmt.Sprintf("Of %s flows that had only started at a flooded service when the SYN flood came, %s started again elsewhere after it: the flood and the changes do displace flows, but no established one.",
		commas(f.embryos.flows), commas(f.embryos.astray)), aim.retransmitted(), aim.neighboursStay())
}

// controlThird: held against a table that no service ever had, what packets found is neither.
func (f findings) controlThird() report.Check {
	aim := f
	aim.cuts.mixed, aim.cuts.diverged = f.cuts.confused, f.cuts.confused
	return control(ThirdTable, f.cuts.confused, fmt.Sprintf("Held against a table that was never there, packets would have found neither of %s services.",
		commas(f.cuts.confused)), aim.oldOrNew(), aim.converges())
}

// controlPurged: a daemon that is killed and whose pins are removed loses frames.
func (f findings) controlPurged() report.Check {
	what := "the daemon was killed and its pins were removed %d time"
	aim := nothingLost(KillLost, f.purged, what)
	return control(Purged, f.purged.lost(), aim.Detail, aim, nothingLost(UpdateLost, f.purged, what), nothingLost(SwitchLost, f.purged, what))
}

// controlForgotten: with the pins goes what was remembered of flows.
func (f findings) controlForgotten() report.Check {
	return control(Forgotten, f.forgotten.lost(), fmt.Sprintf("After the pins were removed and the daemon was started again, %s of %s connections were lost.",
		commas(f.forgotten.lost()), commas(f.forgotten.asked)), kept(KeptMeanwhile, f.forgotten, ""))
}

// controlUnserved: without pins no service is served.
func (f findings) controlUnserved() report.Check {
	aim := f
	aim.syn.other, aim.ack.other = f.unserved, f.unserved
	return control(Unserved, f.unserved.failed, fmt.Sprintf("Of %s connections to another service that were opened while the pins were removed, %s failed.",
		commas(f.unserved.tried()), commas(f.unserved.failed)), aim.otherServed())
}

// controlTable: held against the old table alone, frames to the new one are strays.
func (f findings) controlTable() report.Check {
	aim := f
	aim.strays.outside = f.strays.inside
	return control(TableUnknown, f.strays.inside, fmt.Sprintf("%s frames came to replicas of the new table that the old one did not have. Had the new table not been known, they would have been strays.",
		commas(f.strays.inside)), aim.noStrays())
}
