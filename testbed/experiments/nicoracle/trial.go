package nicoracle

import (
	"context"
	"flag"

	"lbctl/testbed/experiment"
)

const (
	name    = "nic-oracle"
	problem = "5a"
	rigName = "vm"
)

// Experiment is the entry of the lab's catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: name, Problem: problem,
		Summary: "Does the model name the queue and the hash of every packet, as another implementation of RSS computes them (QEMU's virtio-net)?",
		Trial:   newTrial,
	}
}

// trial is one run with its parameters.
type trial struct {
	packets int
	install bool
	golden  string
	flags   *experiment.Parameters
}

func newTrial() experiment.Trial {
	t := &trial{}
	t.flags = experiment.NewParameters(t.define)
	return t
}

// The bounds of the number of packets: with fewer, some queue of some arm may get none by chance.
const (
	minPackets = 720
	maxPackets = 1 << 20
)

// noFile is the default of a file's name.
const noFile = "none"

// define gives each parameter its name, default and help.
func (t *trial) define(f *flag.FlagSet) {
	f.IntVar(&t.packets, "packets", 3600, "the number of packets, those of the controls not counted")
	f.BoolVar(&t.install, "install", true, "whether to install QEMU (package qemu-system-x86) and to download a kernel where they are missing")
	f.StringVar(&t.golden, "golden", noFile, "a file for the golden copy of some of the observations")
}

// Parameters implements experiment.Trial.
func (t *trial) Parameters() *experiment.Parameters { return t.flags }

// Run implements experiment.Trial.
func (t *trial) Run(ctx context.Context, env experiment.Env) (experiment.Outcome, error) {
	if err := experiment.Within("packets", t.packets, minPackets, maxPackets); err != nil {
		return experiment.Outcome{}, err
	}
	env.Progress.Begin(t.packets)
	defer env.Progress.End()
	r := &run{trial: t, env: env}
	if err := r.play(ctx); err != nil {
		return experiment.Outcome{}, err
	}
	if t.golden != noFile {
		if err := r.writeGolden(t.golden); err != nil {
			return experiment.Outcome{}, err
		}
	}
	return r.outcome()
}
