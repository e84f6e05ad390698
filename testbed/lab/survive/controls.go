package survive

import (
	"fmt"

	"lbctl/testbed/report"
)

// Names of the controls.
const (
	Untracked        = "untracked"
	RemovedUndrained = "removed-without-drain"
	OlderTable       = "older-table"
	EmbryosEvicted   = "embryos-evicted"
	Purged           = "purged"
	TableUnknown     = "table-unknown"
)

// controls are arms in which something was broken on purpose: the check that each aims at must fail there.
func (f findings) controls() []report.Check {
	return []report.Check{
		f.controlUntracked(), f.controlRemoved(), f.controlOlder(), f.controlEmbryos(), f.controlPurged(), f.controlTable(),
	}
}

// flips says how a control's aim came out: the check named must have failed.
func flips(aim report.Check) string {
	if aim.Pass {
		return fmt.Sprintf("%s passed, though it had to fail.", aim.Name)
	}
	return fmt.Sprintf("%s failed, as it must.", aim.Name)
}

// controlUntracked: without memory of flows the same changes break connections.
func (f findings) controlUntracked() report.Check {
	u := f.untracked
	aim := kept(ConnectionsKept, u, "to it")
	return report.Check{
		Name: Untracked, Measured: u.lost(), Expected: "> 0", Pass: !aim.Pass && u.lost() > 0,
		Detail: fmt.Sprintf("A service that remembers no flows was changed in the same ways: of %s times that a connection sent a message, %s were reset or answered by another replica. %s",
			commas(u.asked), commas(u.moved), flips(aim)),
	}
}

// controlRemoved: a replica that is removed without drain loses its connections, all of them, and no other's.
func (f findings) controlRemoved() report.Check {
	t := f.tracked
	return report.Check{
		Name: RemovedUndrained, Measured: t.ended, Expected: t.doomed, Pass: t.ended == t.doomed && t.doomed > 0,
		Detail: fmt.Sprintf("Replicas with %s connections were removed without drain: %s of these connections ended. Had they been asked to be kept, %s would have failed.",
			commas(t.doomed), commas(t.ended), ConnectionsKept),
	}
}

// controlOlder: held against the table from before the change, new connections are astray.
func (f findings) controlOlder() report.Check {
	t := f.tracked
	t.astray = t.older
	aim := f
	aim.tracked = t
	return report.Check{
		Name: OlderTable, Measured: t.older, Expected: "> 0", Pass: !aim.byTheTable().Pass && t.older > 0,
		Detail: fmt.Sprintf("Of %s connections that started after a change, %s are not where the table from before it would have put them. %s",
			commas(t.opened), commas(t.older), flips(aim.byTheTable())),
	}
}

// controlEmbryos: the flood is one that takes the place of flows that have only started.
func (f findings) controlEmbryos() report.Check {
	aim := f
	aim.probes = f.embryos
	return report.Check{
		Name: EmbryosEvicted, Measured: f.embryos.astray, Expected: "> 0", Pass: !aim.retransmitted().Pass && f.embryos.astray > 0,
		Detail: fmt.Sprintf("Of %s flows that had only started when the SYN flood came, %s started again elsewhere after it: the flood and the changes do displace flows, but no established one. %s",
			commas(f.embryos.flows), commas(f.embryos.astray), flips(aim.retransmitted())),
	}
}

// controlPurged: a daemon that is killed and whose pins are removed loses frames.
func (f findings) controlPurged() report.Check {
	aim := nothingLost(KillLost, f.purged, "the daemon was killed and its pins were removed %d time")
	return report.Check{
		Name: Purged, Measured: f.purged.lost(), Expected: "> 0", Pass: !aim.Pass && f.purged.lost() > 0,
		Detail: aim.Detail + " " + flips(aim),
	}
}

// controlTable: held against the old table alone, frames to the new one are strays.
func (f findings) controlTable() report.Check {
	aim := f
	aim.strays.outside = f.strays.inside
	return report.Check{
		Name: TableUnknown, Measured: f.strays.inside, Expected: "> 0", Pass: !aim.noStrays().Pass && f.strays.inside > 0,
		Detail: fmt.Sprintf("%s frames came to replicas of the new table that the old one did not have. Had the new table not been known, they would have been strays. %s",
			commas(f.strays.inside), flips(aim.noStrays())),
	}
}
