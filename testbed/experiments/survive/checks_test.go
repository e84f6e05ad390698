package survive

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/rss/packet"
	"lbctl/testbed/capture"
	"lbctl/testbed/report"

	"github.com/google/go-cmp/cmp"
)

// good are findings of a run in which all is as it should be.
func good() findings {
	asked := finding{asked: 100, opened: 20, older: 5, mustBreak: 7, broke: 7}
	untracked := finding{asked: 10, mustBreak: 30, broke: 30, undetermined: 2, undeterminedLost: 1}
	flooded := flooding{finding: finding{asked: 50}, untracked: untracked, sent: 1000, changes: 3, other: visit{took: []time.Duration{1, 2, 3}}}
	whole := count{times: 3, sent: 10_000, taken: 9_990, dropped: 10}
	return findings{
		tracked: asked, untracked: untracked,
		probes: sightings{flows: 10}, halfOpen: sightings{flows: 10, misplaced: 4}, neighbours: sightings{flows: 10, times: 9},
		syn: flooded, ack: flooded,
		kills: whole, updates: whole, switches: whole, purged: count{times: 1, sent: 10_000, taken: 600},
		cuts: cuts{times: 4, old: 3, renewed: 5, confused: 8}, forgotten: finding{asked: 30, moved: 20}, unserved: visit{failed: 8},
		swaps: 3, misrouted: misrouted{inside: 100}, still: finding{asked: 30},
	}
}

// named returns the checks and controls by name.
func named(f findings) map[string]report.Check {
	all := map[string]report.Check{}
	for _, c := range append(f.checks(), f.controls()...) {
		all[c.Name] = c
	}
	return all
}

func TestGoodFindingsPass(t *testing.T) {
	for name, c := range named(good()) {
		if !c.Pass || c.Detail == "" {
			t.Errorf("%s: pass %v: %s", name, c.Pass, c.Detail)
		}
	}
}

// Names of checks and controls are a contract: scripts rely on them.
func TestNamesStay(t *testing.T) {
	var names []string
	for _, c := range append(good().checks(), good().controls()...) {
		names = append(names, c.Name)
	}
	want := strings.Fields(`connections-kept new-by-the-table retransmitted-syn-stays syn-flood-kept ack-flood-kept other-service-served
		neighbours-stay kill-lost cut-apply-old-or-new cut-apply-converges update-lost switch-lost switch-misrouted kept-meanwhile hardly-any-excluded
		untracked untracked-under-flood removed-without-drain older-table half-open-evicted third-table purged purged-memory
		purged-service table-unknown losses-excused`)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// Nothing is shown by what was not looked at.
func TestNothingFoundPassesNothing(t *testing.T) {
	for name, c := range named(findings{}) {
		if c.Pass {
			t.Errorf("%s passes: %s", name, c.Detail)
		}
	}
}

// Each fault fails its check, and no other.
func TestEachFaultFailsItsCheck(t *testing.T) {
	for name, test := range map[string]struct {
		fails []string
		fault func(*findings)
	}{
		"a connection was reset":           {[]string{ConnectionsKept}, func(f *findings) { f.tracked.moved++ }},
		"a connection was silent":          {[]string{ConnectionsKept}, func(f *findings) { f.tracked.unanswered++ }},
		"a new one is misplaced":           {[]string{NewByTheTable}, func(f *findings) { f.tracked.misplaced++ }},
		"a new one was refused":            {[]string{NewByTheTable}, func(f *findings) { f.tracked.refused++ }},
		"a syn is misplaced":               {[]string{RetransmittedSYN}, func(f *findings) { f.probes.misplaced++ }},
		"a syn is missing":                 {[]string{RetransmittedSYN}, func(f *findings) { f.probes.unseen++ }},
		"the syn flood moved one":          {[]string{SYNFloodKept}, func(f *findings) { f.syn.moved++ }},
		"the ack flood moved one":          {[]string{ACKFloodKept}, func(f *findings) { f.ack.moved++ }},
		"another service failed":           {[]string{OtherServiceServed}, func(f *findings) { f.ack.other.failed++ }},
		"a neighbour's syn is misplaced":   {[]string{NeighboursStay}, func(f *findings) { f.neighbours.misplaced++ }},
		"a neighbour's syn is missing":     {[]string{NeighboursStay}, func(f *findings) { f.neighbours.unseen++ }},
		"an apply is done in part":         {[]string{CutIsOldOrNew}, func(f *findings) { f.cuts.mixed++ }},
		"an intent is a half":              {[]string{CutConverges}, func(f *findings) { f.cuts.halves++ }},
		"an intent is something else":      {[]string{CutConverges}, func(f *findings) { f.cuts.strange++ }},
		"a table is not as intended":       {[]string{CutConverges}, func(f *findings) { f.cuts.diverged++ }},
		"a change is forgotten":            {[]string{CutConverges}, func(f *findings) { f.cuts.forgotten++ }},
		"hardly any load":                  {[]string{KillLost}, func(f *findings) { f.kills = count{times: 3, sent: 10, taken: 10} }},
		"a kill lost a frame":              {[]string{KillLost}, func(f *findings) { f.kills.taken-- }},
		"an update lost a frame":           {[]string{UpdateLost}, func(f *findings) { f.updates.taken-- }},
		"an update swapped nothing":        {[]string{UpdateLost}, func(f *findings) { f.swaps-- }},
		"an update made a frame twice":     {[]string{UpdateLost}, func(f *findings) { f.updates.taken++ }},
		"a switch lost a frame":            {[]string{SwitchLost}, func(f *findings) { f.switches.taken-- }},
		"a frame misrouted":                {[]string{SwitchMisrouted}, func(f *findings) { f.misrouted.outside++ }},
		"one was lost in between":          {[]string{KeptMeanwhile}, func(f *findings) { f.still.unanswered++ }},
		"a slow machine excuses losses":    {[]string{HardlyExcluded}, func(f *findings) { f.syn.silent, f.syn.excludedLost = 1, 1 }},
		"a slow machine excuses nothing":   {[]string{HardlyExcluded}, func(f *findings) { f.tracked.late = 1 }},
		"no tracking, one kept too many":   {[]string{Untracked}, func(f *findings) { f.untracked.broke-- }},
		"no tracking, one lost too many":   {[]string{Untracked}, func(f *findings) { f.untracked.unanswered++ }},
		"no tracking, nothing happens":     {[]string{FloodUntracked}, func(f *findings) { f.syn.untracked, f.ack.untracked = finding{asked: 9}, finding{asked: 9} }},
		"any table would do":               {[]string{ThirdTable}, func(f *findings) { f.cuts.confused = 0 }},
		"purged, and nothing is forgotten": {[]string{Forgotten, Excused}, func(f *findings) { f.forgotten.moved = 0 }},
		"purged, and all are served":       {[]string{Unserved}, func(f *findings) { f.unserved = visit{took: []time.Duration{1}} }},
		"one of a removed replica lives":   {[]string{RemovedUndrained}, func(f *findings) { f.tracked.broke-- }},
		"the older table would do as well": {[]string{OlderTable}, func(f *findings) { f.tracked.older = 0 }},
		"the flood displaces nothing":      {[]string{HalfOpenEvicted}, func(f *findings) { f.halfOpen.misplaced = 0 }},
		"purged, and nothing is lost":      {[]string{Purged}, func(f *findings) { f.purged.taken = f.purged.sent }},
		"nothing comes to the new table":   {[]string{SwitchMisrouted, TableUnknown}, func(f *findings) { f.misrouted.inside = 0 }},
	} {
		f := good()
		test.fault(&f)
		failed := map[string]bool{}
		for name, c := range named(f) {
			if !c.Pass {
				failed[name] = true
			}
		}
		for _, want := range test.fails {
			if !failed[want] {
				t.Errorf("%s: %s passes", name, want)
			}
			delete(failed, want)
		}
		if len(failed) != 0 {
			t.Errorf("%s: %v fail as well", name, failed)
		}
	}
}

// TestTooSlow: what was excluded decides nothing, unless one of it was lost; and with no connection that could be lost, neither do the
// controls that need one.
func TestTooSlow(t *testing.T) {
	f := good()
	f.still.silent = 1000
	if c := named(f)[HardlyExcluded]; c.Outcome() != report.Undetermined {
		t.Errorf("nothing lost: %s", c.Outcome())
	}
	f.still.excludedLost = 1
	if c := named(f)[HardlyExcluded]; c.Outcome() != report.Fail {
		t.Errorf("one lost: %s", c.Outcome())
	}
	f.forgotten = finding{silent: 9}
	for _, name := range []string{Forgotten, Excused} {
		if c := named(f)[name]; c.Outcome() != report.Undetermined {
			t.Errorf("%s with no connection to lose: %s", name, c.Outcome())
		}
	}
}

func flowOf(source string, packets uint64) capture.Flow {
	f := capture.Flow{Packets: packets}
	f.Flow = packet.Flow{Source: netip.MustParseAddrPort(source), Protocol: packet.TCP}
	return f
}

// placed puts some flows where a service's table says.
func placed(s *service, flows int) map[packet.Flow]int {
	at := map[packet.Flow]int{}
	for n := range flows {
		f := numbered(s, n)
		at[f] = s.owner(f)
	}
	return at
}

func reseeded(s *service, seed uint32) *service {
	other := s.snapshot()
	to := other.Clone()
	to.Seed = seed
	other.set(to)
	return other
}

// One packet by another table is enough to see that a table is neither the old nor the new one.
func TestWhichTablePacketsFound(t *testing.T) {
	before := newService("maglev", 1, 0, started, lb.Service{Scheduler: lb.Maglev, TableSize: 1009})
	after := reseeded(before, 7)
	one := placed(after, 50)
	for f, replica := range one {
		if before.owner(f) != replica {
			one[f] = before.owner(f)
			break
		}
	}
	unseen := placed(before, 50)
	unseen[numbered(before, 0)] = -1
	for want, at := range map[string]map[packet.Flow]int{
		"old": placed(before, 50), "new": placed(after, 50), "neither": one,
	} {
		c := cuts{}
		if got := c.enter(before, after, at); got != want || c.old+c.renewed+c.mixed != 1 || c.confused != 1 {
			t.Errorf("found %q, want %q: %+v", got, want, c)
		}
	}
	c := cuts{}
	if got := c.enter(before, after, unseen); got != "neither" {
		t.Errorf("with a packet that nobody saw: %q", got)
	}
}
