package nicoracle

import (
	"fmt"
	"slices"

	"lbctl/rss"
	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// Names of the checks. Those of the kinds are KindPrefix and the kind's name.
const (
	SettingsAsSet    = "settings-as-set"
	Delivered        = "seen-once"
	EveryQueue       = "every-queue-used"
	QueueAsPredicted = "queue-as-predicted"
	HashAsPredicted  = "hash-as-predicted"
	KindPrefix       = "agrees: "
)

// Checks compares the evidence of the set-ups, without that of the control, with the model.
func Checks(all []Evidence) []report.Check {
	checks := []report.Check{settingsAsSet(all), delivered(all), everyQueue(all), queueAsPredicted(all), hashAsPredicted(all)}
	for k := range kinds {
		checks = append(checks, kindAgrees(all, k))
	}
	return checks
}

// total counts over all set-ups.
func total(all []Evidence, want func(Frame) bool) (t tally) {
	for _, e := range all {
		t = t.plus(e.agree(e.byModel, want))
	}
	return t
}

// settingsAsSet demands that the driver reports what it was told to set.
func settingsAsSet(all []Evidence) report.Check {
	var wrong []string
	for _, e := range all {
		if !e.asSet() {
			wrong = append(wrong, e.Setup.Name)
		}
	}
	return report.Check{
		Name: SettingsAsSet, Measured: len(all) - len(wrong), Expected: len(all), Pass: len(wrong) == 0 && len(all) > 0,
		Detail: fmt.Sprintf("After %d of %d changes the guest's ethtool interface says what was set: queues, key, table, hash fields.%s",
			len(all)-len(wrong), len(all), experiment.But("Not so", wrong)),
	}
}

func (e Evidence) asSet() bool {
	said, want := e.Settings, e.Setup.Change
	table, err := want.RSS.Table.Build(len(said.RSS.Table), want.Queues)
	if err != nil || !slices.Equal(table, said.RSS.Table) || said.RSS.Queues != want.Queues || said.Hash != want.Hash {
		return false
	}
	for _, f := range want.RSS.Fields {
		if said.RSS.Fields[f.Type] != f.Fields {
			return false
		}
	}
	return slices.Equal(said.RSS.Key, want.RSS.Key) && len(e.Assumed) == 0
}

// delivered demands that the guest saw every frame once.
func delivered(all []Evidence) report.Check {
	sent, once, more, strange := 0, 0, 0, 0
	for _, e := range all {
		strange += e.Strange
		for _, o := range e.Observations {
			sent++
			once += experiment.One(o.Times == 1)
			more += experiment.One(o.Times > 1)
		}
	}
	return report.Check{
		Name: Delivered, Measured: once, Expected: sent, Pass: once == sent && strange == 0 && sent > 0,
		Detail: fmt.Sprintf("%s of %s packets were seen once; %s more than once, %s never; %s were seen that were not sent.",
			report.Cell(once), report.Cell(sent), report.Cell(more), report.Cell(sent-once-more), report.Cell(strange)),
	}
}

// everyQueue demands packets on all queues: without them the other checks would show little.
func everyQueue(all []Evidence) report.Check {
	named, used := 0, 0
	for _, e := range all {
		seen := map[rss.Queue]bool{}
		for _, o := range e.Observations {
			seen[o.Queue] = seen[o.Queue] || o.Times > 0
		}
		for q, share := range e.Config.Table.Shares() {
			named += experiment.One(share > 0)
			used += experiment.One(share > 0 && seen[rss.Queue(q)])
		}
	}
	return report.Check{
		Name: EveryQueue, Measured: used, Expected: named, Pass: used == named && named > 0,
		Detail: fmt.Sprintf("Of %d queues that the tables of all set-ups name, %d got packets.", named, used),
	}
}

func queueAsPredicted(all []Evidence) report.Check {
	t := total(all, anyKind)
	return report.Check{
		Name: QueueAsPredicted, Measured: t.queue, Expected: t.sent, Pass: t.queue == t.sent && t.sent > 0,
		Detail: fmt.Sprintf("%s of %s packets came on the receive queue that the model predicts.", report.Cell(t.queue), report.Cell(t.sent)),
	}
}

func hashAsPredicted(all []Evidence) report.Check {
	t := total(all, anyKind)
	return report.Check{
		Name: HashAsPredicted, Measured: t.hash, Expected: t.sent, Pass: t.hash == t.sent && t.sent > 0,
		Detail: fmt.Sprintf("The NIC reported of %s of %s packets the hash that the model computes, all 32 bits, or none where none is computed.", report.Cell(t.hash), report.Cell(t.sent)),
	}
}

// kindAgrees demands queue and hash as predicted for one kind.
func kindAgrees(all []Evidence, k Kind) report.Check {
	t := total(all, only(k))
	return report.Check{
		Name: KindPrefix + k.String(), Measured: t.both, Expected: t.sent, Pass: t.both == t.sent && t.sent > 0,
		Detail: fmt.Sprintf("%s of %s packets of this kind had queue and hash as predicted; the queue alone %s, the hash alone %s.",
			report.Cell(t.both), report.Cell(t.sent), report.Cell(t.queue), report.Cell(t.hash)),
	}
}
