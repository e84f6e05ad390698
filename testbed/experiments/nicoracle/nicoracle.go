// Package nicoracle is the experiment nic-oracle: the model of a NIC in rss/nic against another
// implementation of RSS, QEMU's virtio-net under a real driver. Packets of eleven kinds are
// sent into a guest under several keys, tables, numbers of queues and hash fields. The queue and the hash of every
// single one must be those that the model predicts. The model knows nothing but what the guest's driver says of its
// NIC, as in lbctl rss verify.
package nicoracle

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lbctl/rss/nic"
	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
	"lbctl/testbed/vm"
	"lbctl/testbed/vm/line"
)

// Experiment is the entry of the lab's catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: "nic-oracle", Problem: "5a",
		Question: "Does the model name the queue and the hash of every packet, as another implementation of RSS computes them (QEMU's virtio-net)?",
		Claim:    "A NIC computes a Toeplitz hash of the 4-tuple and looks the queue up in its indirection table.",
		Method:   "A guest with a virtio-net of four queues is set up through its ethtool interface. Its driver says on which queue and with which hash it received each frame; the model predicts both.",
		Needs:    experiment.Needs{Packages: []string{vm.Package}, Time: 25 * time.Second, Quick: 20 * time.Second},
		Rig:      "vm",
		Checks: []experiment.Statement{
			{Name: SettingsAsSet, Text: "the driver reports what it was told to set"},
			{Name: Delivered, Text: "the guest sees every packet once"},
			{Name: EveryQueue, Text: "every queue that a table names gets packets"},
			{Name: QueueAsPredicted, Text: "every packet comes on the queue that the model predicts"},
			{Name: HashAsPredicted, Text: "every packet has the hash that the model computes"},
		},
		Controls: []experiment.Statement{
			{Name: TableRewritten, Text: "the same packets are sent again after the table was rewritten"},
			{Name: AnotherKey, Text: "the model has another key"},
			{Name: FragmentsByPorts, Text: "the model hashes the ports of first fragments"},
			{Name: HashOff, Text: "receive hashing is off"},
		},
		Predictions: predictions(),
		Design:      func() experiment.Design { return &design{} },
	}
}

// design implements experiment.Design.
type design struct {
	packets int
	install bool
	golden  string

	run              *experiment.Run
	machine          *vm.Machine
	emulator, kernel string
	hello            line.Hello
	// evidence is that of the set-ups with hash, off that of the one without.
	evidence []Evidence
	off      Evidence
	// boot is how long the guest took to come up, traffic how long all packets took then.
	began         time.Time
	boot, traffic time.Duration
}

// minPackets is the least number of packets: with fewer, some queue of some set-up may get none by chance.
const minPackets = 720

// noFile is the default of a file's name.
const noFile = "none"

// Parameters implements experiment.Design.
func (d *design) Parameters(f *experiment.Parameters) {
	f.Int(&d.packets, "packets", experiment.Ints{Low: minPackets, High: 1 << 20, Default: 3600, Quick: minPackets, Full: 36_000}, "the number of packets, without those of the controls")
	f.Bool(&d.install, "install", true, "whether to install QEMU (package "+vm.Package+") and to download a kernel where they are missing")
	f.String(&d.golden, "golden", noFile, "a file for the golden copy of some of the observations")
}

// Arms implements experiment.Design: it boots the guest, and makes an arm of each set-up.
func (d *design) Arms(ctx context.Context, r *experiment.Run) (arms []experiment.Arm, err error) {
	d.run, d.began = r, r.Now()
	namespace, err := r.Bed.Namespace("vm")
	if err != nil {
		return nil, err
	}
	d.machine, err = vm.Start(ctx, vm.Config{
		Program: r.Program, Namespace: namespace, Install: d.install, Step: r.Step, Log: r.Log,
	})
	if err != nil {
		return nil, err
	}
	r.Bed.Closing(d.machine)
	d.boot, r.XDP = r.Now().Sub(d.began), "not used"
	d.emulator, d.kernel, d.hello = d.machine.Version(), d.machine.Kernel(), d.machine.Hello()
	for _, s := range setups(r.Random(1), d.packets, d.hello) {
		arms = append(arms, experiment.Arm{Name: s.Name, Steps: len(s.Frames), Run: func(ctx context.Context) error { return d.try(ctx, s) }})
	}
	return arms, nil
}

// try sets the NIC up and sends the set-up's frames.
func (d *design) try(ctx context.Context, s Setup) error {
	settings, err := d.machine.Apply(ctx, s.Change)
	if err != nil {
		return err
	}
	frames := make([][]byte, len(s.Frames))
	for i, f := range s.Frames {
		frames[i] = f.Bytes
	}
	seen, err := d.machine.Send(ctx, frames)
	if err != nil {
		return err
	}
	e, err := newEvidence(s, settings, seen)
	if err != nil {
		return err
	}
	d.traffic = d.run.Now().Sub(d.began) - d.boot
	if s.Name == hashOff {
		d.off = e
	} else {
		d.evidence = append(d.evidence, e)
	}
	return nil
}

// Conclude implements experiment.Design.
func (d *design) Conclude(r *experiment.Run) error {
	if d.golden != noFile {
		if err := d.writeGolden(d.golden); err != nil {
			return err
		}
	}
	checks := Checks(d.evidence)
	r.Check(checks...)
	answer(r, d.evidence)
	if err := d.controls(r); err != nil {
		return err
	}
	r.Table(d.claims(checks), kindTable(d.evidence), setupTable(d.evidence), d.machineTable())
	if t := disagreements(d.evidence); len(t.Rows) > 0 {
		r.Table(t)
	}
	figures, err := figures(d.evidence)
	r.Figure(figures...)
	return err
}

// controls enters the controls.
func (d *design) controls(r *experiment.Run) error {
	random := r.Random(2)
	key, err := anotherKey(d.evidence, func(c nic.Config) (*nic.NIC, error) {
		c.Key = slices.Clone(c.Key)
		for i := range c.Key {
			c.Key[i] ^= byte(1 + random.IntN(255))
		}
		return nic.New(c)
	})
	if err != nil {
		return err
	}
	r.Control(
		key, tableRewritten(find(d.evidence, beforeRewrite), find(d.evidence, afterRewrite)),
		fragmentsByPorts(d.evidence), hashIsOff(d.off),
	)
	return nil
}

// claims answers the question of the experiment from its checks.
func (d *design) claims(checks []report.Check) report.Table {
	return experiment.Claims(checks, experiment.Finding{
		Question: "Are the queue and the hash of a packet those that the model computes from key, table and hash fields?",
		Answer:   fmt.Sprintf("Yes, of each of %s packets.", report.Cell(total(d.evidence, anyKind).sent)),
	})
}
