package peers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"lbctl/testbed/bench/load"
	"lbctl/testbed/experiment"
)

// defaultWorks names all works.
func defaultWorks() string {
	var names []string
	for _, w := range load.Works() {
		names = append(names, w.Name)
	}
	return strings.Join(names, ",")
}

// The most that is measured: no file descriptors, ports or memory end before.
const (
	maxRequests    = 10_000_000
	maxConcurrency = 1000
	maxRounds      = 1000
	maxReplicas    = 32 // the addresses have room for no more
)

// validate returns the peers and sets the works. Errors wrap experiment.ErrParameter.
func (t *trial) validate(b *bench) ([]peer, error) {
	err := cmp.Or(
		experiment.Within("requests", t.requests, 1, maxRequests),
		experiment.Within("concurrency", t.concurrency, 1, maxConcurrency),
		experiment.Within("rounds", t.rounds, 1, maxRounds),
		experiment.Within("replicas", t.replicaCount, 1, maxReplicas),
	)
	if err != nil {
		return nil, err
	}
	if b.works, err = chooseWorks(t.works); err != nil {
		return nil, err
	}
	return choose(t.peers)
}

// chooseWorks returns the works of a comma-separated list, each once. Errors wrap experiment.ErrParameter.
func chooseWorks(list string) (chosen []load.Work, err error) {
	named := func(name string) func(load.Work) bool { return func(w load.Work) bool { return w.Name == name } }
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		i := slices.IndexFunc(load.Works(), named(name))
		if i < 0 {
			return nil, fmt.Errorf("%w works=%s: %q is not known: want some of %s", experiment.ErrParameter, list, name, defaultWorks())
		}
		if !slices.ContainsFunc(chosen, named(name)) {
			chosen = append(chosen, load.Works()[i])
		}
	}
	return chosen, nil
}
