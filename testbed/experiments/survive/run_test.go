package survive

import (
	"testing"

	"lbctl/testbed/experiment/trialtest"
)

func TestParametersAreChecked(t *testing.T) {
	trialtest.Parameters(t, Experiment(), map[string]bool{
		"connections=20000": true, "connections=1": false, "processes=0": false, "clients=1": false,
		"replicas=5": false, "replicas=6": true, "replicas=100": false, "changes=100": true, "changes=0": false,
		"syns=10000000": true, "syns=16777217": false, "acks=0": false, "updates=1000": true, "kills=0": false, "cuts=0": false,
		"flows=1024": true, "flows=1000": false, "idle=8s": true, "idle=7s": false, "idle=8500ms": false, "idle=25h": false,
		"rate=1": false, "pause=false": true, "untracked=4": false, "switches=0": false, "probes=0": false, "fresh=0": false,
	})
}
