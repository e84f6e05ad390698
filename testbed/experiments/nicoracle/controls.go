package nicoracle

import (
	"fmt"
	"math"
	"slices"

	"lbctl/rss/nic"
	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// Names of the controls.
const (
	AnotherKey       = "another-key"
	TableRewritten   = "table-rewritten"
	FragmentsByPorts = "fragments-by-ports"
	HashOff          = "hash-off"
)

// sigmas is how far from its mean, in standard deviations, a count may lie.
const sigmas = 5

// anotherKey compares the evidence with models with another key. As many packets must be on
// the queue that it names as chance puts there, and none may have its hash.
func anotherKey(all []Evidence, different func(nic.Config) (*nic.NIC, error)) (report.Check, error) {
	var t tally
	mean, variance := 0.0, 0.0
	for _, e := range all {
		other, err := different(e.Config)
		if err != nil {
			return report.Check{}, fmt.Errorf("make model with another key: %w", err)
		}
		hashed := func(f Frame) bool { return e.byModel(f).Hashed }
		got := e.agree(func(f Frame) nic.Result { return other.Classify(f.Bytes) }, hashed)
		t = t.plus(got)
		hit := 0.0
		for _, share := range e.Config.Table.Shares() {
			hit += share * share
		}
		mean, variance = mean+float64(got.sent)*hit, variance+float64(got.sent)*hit*(1-hit)
	}
	tolerance := sigmas*math.Sqrt(variance) + 0.5
	return report.Check{
		Name: AnotherKey, Measured: t.queue, Expected: math.Round(mean),
		// A hash of 32 bits may be equal by chance: once in a million such runs.
		Pass: t.hash == 0 && t.queue != t.sent && math.Abs(float64(t.queue)-mean) <= tolerance,
		Detail: fmt.Sprintf("Of %s packets that are hashed, %s are on the queue that a model with another key names; chance puts %s ± %s there. %s have its hash. %s and %s would fail.",
			report.Cell(t.sent), report.Cell(t.queue), report.Cell(int(math.Round(mean))), report.Cell(int(tolerance)), report.Cell(t.hash), QueueAsPredicted, HashAsPredicted),
	}, nil
}

// tableRewritten compares what was seen before and after the table was rewritten. The same frames were sent
// again: exactly those that the model says move must have moved, and no hash may have changed.
func tableRewritten(before, after Evidence) report.Check {
	moved, predicted, wrong, hashes := 0, 0, 0, 0
	for i, o := range after.Observations {
		was := before.Observations[i]
		moves := before.byModel(o.Frame).Queue != after.byModel(o.Frame).Queue
		did := was.Queue != o.Queue
		predicted, moved = predicted+experiment.One(moves), moved+experiment.One(did)
		wrong += experiment.One(moves != did || o.Times != 1 || was.Times != 1)
		hashes += experiment.One(was.Hash != o.Hash)
	}
	n := len(after.Observations)
	return report.Check{
		Name: TableRewritten, Measured: moved, Expected: predicted,
		Pass: moved == predicted && wrong == 0 && hashes == 0 && moved > 0 && moved < n,
		Detail: fmt.Sprintf("%s packets were sent again after the table was rewritten: %s changed their queue, the model predicted %s; %s were not as predicted, %s have another hash than before.",
			report.Cell(n), report.Cell(moved), report.Cell(predicted), report.Cell(wrong), report.Cell(hashes)),
	}
}

// fragmentsByPorts compares first fragments with a model that hashes the ports they show, as some NICs do.
func fragmentsByPorts(all []Evidence) report.Check {
	sent, told, agree := 0, 0, 0
	for _, e := range all {
		for _, o := range e.Observations {
			if o.Kind != FirstFragment {
				continue
			}
			sent++
			wrong := e.Model.ClassifyFlow(o.Flow)
			if wrong.Hash == e.byModel(o.Frame).Hash {
				continue // this set-up hashes no ports anyway
			}
			told++
			agree += experiment.One(o.Times == 1 && o.Hash == wrong.Hash)
		}
	}
	return report.Check{
		Name: FragmentsByPorts, Measured: agree, Expected: 0, Pass: agree == 0 && told > 0,
		Detail: fmt.Sprintf("Of %s first fragments, a model that hashes their ports names another hash for %s: %s have it. %s%v would fail.",
			report.Cell(sent), report.Cell(told), report.Cell(agree), KindPrefix, FirstFragment),
	}
}

// hashIsOff: with ethtool -K rxhash off the NIC reports no hash and spreads no packets.
func hashIsOff(e Evidence) report.Check {
	without, elsewhere := 0, 0
	for _, o := range e.Observations {
		without += experiment.One(o.Times == 1 && o.Hash == 0)
		elsewhere += experiment.One(o.Queue != 0)
	}
	aim := hashAsPredicted([]Evidence{e})
	n := len(e.Observations)
	return report.Check{
		Name: HashOff, Measured: without, Expected: n, Pass: !aim.Pass && without == n && n > 0 && !e.Settings.Hash,
		Detail: fmt.Sprintf("With receive hashing off, %s of %s packets came without a hash, and %s on another queue than 0. %s fails, as it must.",
			report.Cell(without), report.Cell(n), report.Cell(elsewhere), HashAsPredicted),
	}
}

// find returns the evidence of a set-up.
func find(all []Evidence, name string) Evidence {
	i := slices.IndexFunc(all, func(e Evidence) bool { return e.Setup.Name == name })
	return all[i]
}
