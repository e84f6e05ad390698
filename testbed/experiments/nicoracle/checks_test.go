package nicoracle

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss"
	"lbctl/testbed/report"
)

// failed returns the names of those that did not pass.
func failed(list []report.Check) (names []string) {
	for _, c := range list {
		if !c.Pass {
			names = append(names, c.Name)
		}
	}
	return names
}

// first returns the first observation of a kind in an arm.
func first(all []Evidence, arm string, k Kind) *Observation {
	e := find(all, arm)
	for i := range e.Observations {
		if e.Observations[i].Kind == k {
			return &e.Observations[i]
		}
	}
	return nil
}

// A change of one thing fails the checks that are about it, and no other.
func TestChecks(t *testing.T) {
	const arm = "three queues"
	for name, c := range map[string]struct {
		change func(all []Evidence)
		fails  []string
	}{
		"as the model says": {func([]Evidence) {}, nil},
		"one packet on the next queue": {func(all []Evidence) { o := first(all, arm, TCP6); o.Queue = (o.Queue + 1) % 3 },
			[]string{QueueAsPredicted, "agrees: tcp6"}},
		"one bit of one hash": {func(all []Evidence) { first(all, arm, Options).Hash ^= 1 << 31 },
			[]string{HashAsPredicted, "agrees: ipv4 options"}},
		"its lowest bit": {func(all []Evidence) { first(all, arm, Options).Hash ^= 1 },
			[]string{HashAsPredicted, "agrees: ipv4 options"}},
		"no hash of one": {func(all []Evidence) { first(all, arm, Other).Hash = 0 },
			[]string{HashAsPredicted, "agrees: other protocol"}},
		"a hash of what is not ip": {func(all []Evidence) { first(all, arm, NotIP).Hash = 7 },
			[]string{HashAsPredicted, "agrees: not ip"}},
		"a lost one": {func(all []Evidence) { first(all, arm, UDP4).Times = 0 },
			[]string{Delivered, QueueAsPredicted, HashAsPredicted, "agrees: udp4"}},
		"one seen twice": {func(all []Evidence) { first(all, arm, HopByHop).Times = 2 },
			[]string{Delivered, QueueAsPredicted, HashAsPredicted, "agrees: ipv6 hop-by-hop"}},
		"one that was not sent":     {func(all []Evidence) { all[0].Strange = 1 }, []string{Delivered}},
		"a queue without packets":   {func(all []Evidence) { idle(&all[0], 2) }, []string{Delivered, EveryQueue, QueueAsPredicted, HashAsPredicted}},
		"a table that was not set":  {func(all []Evidence) { all[2].Settings.RSS.Table = all[1].Settings.RSS.Table }, []string{SettingsAsSet}},
		"a key that was not set":    {func(all []Evidence) { all[2].Settings.RSS.Key = all[3].Settings.RSS.Key }, []string{SettingsAsSet}},
		"fields that were not set":  {func(all []Evidence) { all[6].Settings.RSS.Fields["udp6"] = rss.FourTuple }, []string{SettingsAsSet}},
		"queues that were not set":  {func(all []Evidence) { all[4].Settings.RSS.Queues = 4 }, []string{SettingsAsSet}},
		"a driver that says little": {func(all []Evidence) { all[5].Assumed = []string{"something"} }, []string{SettingsAsSet}},
	} {
		t.Run(name, func(t *testing.T) {
			all, _ := fabricate(t, 1)
			c.change(all)
			got := failed(Checks(all))
			if name == "a queue without packets" {
				got = got[:min(4, len(got))] // and of whichever kinds there were
			}
			if diff := cmp.Diff(c.fails, got); diff != "" {
				t.Errorf("failed checks (-want +got):\n%s", diff)
			}
		})
	}
}

// idle takes all packets of a queue away.
func idle(e *Evidence, q rss.Queue) {
	for i := range e.Observations {
		if o := &e.Observations[i]; o.Queue == q {
			o.Times = 0
		}
	}
}

// Nothing sent is nothing shown.
func TestChecksOfNothingFail(t *testing.T) {
	for _, c := range Checks(nil) {
		if c.Pass {
			t.Errorf("%s passes without evidence", c.Name)
		}
	}
}
