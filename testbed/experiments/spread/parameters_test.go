package spread

import (
	"errors"
	"testing"

	"lbctl/testbed/experiment"
)

func TestParametersAreChecked(t *testing.T) {
	for assignment, good := range map[string]bool{
		"replicas=2": true, "replicas=1": false, "replicas=101": false, "replicas=-4": false,
		"queues=1": false, "queues=129": false, "table=3": false, "connections=39": false,
		"requests=16001": false, "requests=4000": true, "requests=0": false, "objects=0": false,
		"min-size=2000000": false, "max-size=100": false, "popularity=-1": false, "popularity=1.2": true,
		"key=symmetric": true, "key=00": false, "scheduler=maglev": true, "scheduler=random": false,
		"hash=toeplitz": true, "hash=md5": false, "control-connections=3": false,
	} {
		trial := newTrial().(*trial)
		err := trial.Parameters().Set(assignment)
		if err == nil {
			err = trial.validate()
		}
		if (err == nil) != good || err != nil && !errors.Is(err, experiment.ErrParameter) {
			t.Errorf("%s: %v, want it good: %v", assignment, err, good)
		}
	}
	if err := newTrial().(*trial).validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
}

// TestSetReachesTheModel: what one sets is what is modelled.
func TestSetReachesTheModel(t *testing.T) {
	trial := newTrial().(*trial)
	for _, assignment := range []string{"replicas=5", "queues=3", "table=64", "key=symmetric", "scheduler=maglev", "hash=toeplitz"} {
		if err := trial.Parameters().Set(assignment); err != nil {
			t.Fatal(err)
		}
	}
	m, err := trial.model(1)
	if err != nil {
		t.Fatal(err)
	}
	config := m.NIC.Config()
	if len(m.Service.Replicas) != 5 || config.Table.Queues() != 3 || len(config.Table) != 64 || config.Key[1] != 0x5a || config.Key[2] != 0x6d {
		t.Errorf("model of %d replicas, %d queues, table of %d, key %v", len(m.Service.Replicas), config.Table.Queues(), len(config.Table), config.Key)
	}
	if m.Service.Scheduler.String() != "maglev" || m.Service.Hash.String() != "toeplitz" {
		t.Errorf("service is %v with %v", m.Service.Scheduler, m.Service.Hash)
	}
}
