// Package interrupts is the experiment interrupts: what batching of interrupts and polling save of the work that packets
// cost.
//
// A guest receives the same datagrams by six set-ups: an e1000 without and with interrupt moderation; a virtio-net as
// Linux sets it up, with its interrupts deferred, with its polls in a thread, and with a receiver that polls it. The
// guest's kernel counts interrupts, softirqs and context switches. Beside it a model of a core and a NIC
// shows what the guest cannot: the livelock of a system that does a packet's work in its interrupt.
package interrupts

import (
	"context"
	"net/netip"
	"time"

	"lbctl/rss/packet"
	"lbctl/rss/sim"
	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/vm"
	"lbctl/testbed/vm/guest"
)

// Experiment is the entry of the lab's catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: "interrupts", Problem: "1",
		Question: "How many interrupts, softirqs and context switches does a packet cost, and which mechanisms reduce them as the load grows?",
		Claim:    "Under high packet load a server spends its time in interrupts and context switches. Polling, or batching interrupts, gives it back to the application.",
		Method: "A QEMU guest of one processor, with Debian's kernel, receives datagrams by six set-ups of two real drivers, and works a while on each. Interrupts are those of /proc/interrupts, softirqs of reception those of /proc/softirqs, switches those of the receiver in /proc/PID/status. " +
			"QEMU emulates the processor, so its times say nothing about hardware; counts are exact. Linux does not do a packet's work in the interrupt, so the livelock of a system that does is shown by a model, labelled so. QEMU's e1000 keeps to at most 7,813 interrupts a second by itself.",
		Needs: experiment.Needs{Packages: []string{vm.Package}, Time: 60 * time.Second, Quick: 30 * time.Second},
		Rig:   "vm",
		Checks: []experiment.Statement{
			{Name: OneEach, Text: "one packet at a time costs one interrupt, without batching, on either NIC"},
			{Name: ModerationSaves, Text: "with moderation the same packets cost at most half the interrupts"},
			{Name: DeferralSaves, Text: "with deferred interrupts they cost at most half"},
			{Name: ThreadsTakeOver, Text: "with polls in a thread there are next to no softirqs"},
			{Name: PollingNoInterrupts, Text: "a receiver that polls the NIC gets an interrupt for less than every second packet: only where it polls late"},
			{Name: PollingNoSleep, Text: "a receiver that polls the NIC is next to never switched away from to wait"},
			{Name: PollingBurns, Text: "a receiver that polls the NIC uses most of a core when nothing comes"},
			{Name: OverloadBatches, Text: "under overload the driver's own polls (NAPI) batch: at most half an interrupt a packet"},
			{Name: ModelLivelock, Text: "in the model, at six times the capacity, an interrupt per packet leaves the application nothing; polls in a softirq, in a thread or by the application leave it half of its best or more"},
		},
		Controls: []experiment.Statement{
			{Name: ModerationLight, Text: "packets come one at a time with pauses: " + ModerationSaves + " must fail"},
			{Name: DeferralLight, Text: "packets come one at a time with pauses: " + DeferralSaves + " must fail"},
			{Name: BlockingIdle, Text: "the receiver sleeps until a packet comes: " + PollingBurns + " must fail"},
			{Name: FreeInterrupts, Text: "in the model, interrupts and the kernel's work on packets cost nothing: " + ModelLivelock + " must fail"},
		},
		Predictions: predictions(),
		Design:      func() experiment.Design { return &design{} },
	}
}

// The set-ups.
const (
	off       = "e1000, no moderation"
	moderated = "e1000, moderated"
	plain     = "virtio-net"
	deferred  = "virtio-net, deferred"
	threaded  = "virtio-net, threaded"
	busy      = "virtio-net, busy polling"
)

// arm is one set-up.
type arm struct {
	name  string
	nic   int
	setup Setup
}

// interval is the least time between interrupts of the set-ups that batch them.
const interval = 4 * time.Millisecond

func arms() []arm {
	none, some := 0, int(interval.Microseconds())
	return []arm{
		{off, 0, Setup{Moderated: &none}},
		{moderated, 0, Setup{Moderated: &some}},
		{plain, 1, Setup{}},
		{deferred, 1, Setup{Defer: 1, Timeout: interval}},
		{threaded, 1, Setup{Threaded: true}},
		// Longer than anything that comes between two polls of the receiver.
		{busy, 1, Setup{Busy: true, Defer: 2, Timeout: 100 * time.Millisecond}},
	}
}

func find(name string) arm {
	for _, a := range arms() {
		if a.name == name {
			return a
		}
	}
	panic("no set-up " + name)
}

// design implements experiment.Design.
type design struct {
	rounds, packets, work int
	window                time.Duration
	install               bool

	generator generator
	evidence  evidence
}

// evidence is what was found.
type evidence struct {
	// conversation has each packet after the answer to the one before it, light the same with pauses; idle has none.
	// By set-up.
	conversation, light, idle map[string]Turn
	// sweep is by set-up, in the order of rates.
	sweep map[string][]Turn
	// paced has two set-ups of the e1000 in rounds, at a rate and with pauses.
	paced *measure.Rounds[Turn]
	// model is by mode, free that of interrupts which cost nothing.
	model, free map[sim.Mode][]Goodput
}

// Parameters implements experiment.Design.
func (d *design) Parameters(f *experiment.Parameters) {
	least := measure.RoundsFor(measure.FalseAlarm)
	f.Int(&d.rounds, "rounds", experiment.Ints{Low: least, High: 1000, Default: 20, Quick: least, Full: 60}, "the number of rounds in which moderation is compared with none")
	f.Int(&d.packets, "packets", experiment.Ints{Low: 20, High: 100_000, Default: 400, Quick: 100, Full: 4000}, "the number of packets that are sent one after the other to each set-up")
	f.Duration(&d.window, "window", experiment.Durations{Low: 50 * time.Millisecond, High: 10 * time.Second, Default: 300 * time.Millisecond, Quick: 100 * time.Millisecond, Full: time.Second}, "how long packets are sent at each rate")
	f.Int(&d.work, "work", experiment.Ints{Low: 0, High: 10_000, Default: 100}, "how often the receiver hashes each packet: its useful work")
	f.Bool(&d.install, "install", true, "whether to install QEMU (package "+vm.Package+") and to download a kernel where they are missing")
}

// Arms implements experiment.Design: it boots the guest.
func (d *design) Arms(ctx context.Context, r *experiment.Run) (all []experiment.Arm, err error) {
	if err := d.boot(ctx, r); err != nil {
		return nil, err
	}
	d.evidence = evidence{
		conversation: map[string]Turn{}, light: map[string]Turn{}, idle: map[string]Turn{}, sweep: map[string][]Turn{},
		model: map[sim.Mode][]Goodput{}, free: map[sim.Mode][]Goodput{},
	}
	for _, a := range arms() {
		all = append(all, experiment.Arm{Name: a.name, Steps: 3 + len(rates()), Run: func(ctx context.Context) error { return d.counts(ctx, r, a) }})
	}
	return append(all,
		experiment.Arm{Name: "moderation, in rounds", Steps: d.rounds + 1, Run: func(ctx context.Context) error { return d.pace(ctx, r) }},
		experiment.Arm{Name: "the model", Run: func(ctx context.Context) error { return d.simulate(ctx, r) }},
	), nil
}

// boot starts the guest and sets up both ends of all cables.
func (d *design) boot(ctx context.Context, r *experiment.Run) error {
	r.XDP = "not used"
	namespace, err := r.Bed.Namespace("vm")
	if err != nil {
		return err
	}
	config := vm.Config{
		Program: r.Program, Namespace: namespace, Role: Helper().Name, Kernel: vm.PlainKernel,
		Install: d.install, Step: r.Step, Log: r.Log,
	}
	// The driver lets the moderation of an 82545 be set, not of the 82540 that is plain e1000.
	for i, model := range []string{"e1000-82545em", "virtio-net-pci", "virtio-net-pci"} {
		config.NICs = append(config.NICs, vm.NIC{Model: model, MAC: packet.MAC{2, 0, 0, 0, 1, byte(i)}})
	}
	machine, err := vm.Start(ctx, config)
	if err != nil {
		return err
	}
	r.Bed.Closing(machine)
	var links []guest.Link
	var addresses []netip.AddrPort
	for i, n := range config.NICs {
		_, link, err := vm.Cable(namespace, i, n)
		if err != nil {
			return err
		}
		links = append(links, link)
		if i != back {
			addresses = append(addresses, netip.AddrPortFrom(link.Address.Addr(), port))
		}
	}
	var answer Answer
	if err := machine.Ask(ctx, Order{Up: links}, &answer); err != nil {
		return err
	}
	d.generator = generator{machine: machine, names: answer.NICs, to: addresses, peer: links[back].Peer, work: d.work}
	if err := d.generator.open(namespace); err != nil {
		return err
	}
	r.Bed.Closing(&d.generator)
	return nil
}

// pause is what a light load has between an answer and the next packet: longer than any set-up waits.
const pause = 10 * time.Millisecond

// idleTime is how long nothing is sent.
const idleTime = 300 * time.Millisecond

// rates are those of the sweep, packets per second: from light to more than an emulated processor receives.
func rates() []float64 { return []float64{500, 2000, 8000, 32_000} }

// counts measures one set-up: one packet after the other, the same with pauses, nothing, and rising rates.
func (d *design) counts(ctx context.Context, r *experiment.Run, a arm) (err error) {
	e, g := d.evidence, &d.generator
	for _, load := range []struct {
		in   map[string]Turn
		load Load
	}{
		{e.conversation, Load{Packets: d.packets}},
		{e.light, Load{Packets: max(d.packets/5, 20), Pause: pause}},
		{e.idle, Load{Idle: idleTime}},
	} {
		if load.in[a.name], err = g.turn(ctx, a, load.load); err != nil {
			return err
		}
		r.Advance(1)
	}
	for _, rate := range rates() {
		t, err := g.turn(ctx, a, Load{Packets: int(rate * d.window.Seconds()), Rate: rate})
		if err != nil {
			return err
		}
		e.sweep[a.name] = append(e.sweep[a.name], t)
		r.Advance(1)
	}
	return nil
}

// The arms of the rounds: the names of the set-ups at a rate, and with pauses.
const lightly = ", with pauses"

// pacedRate is that of the rounds: several packets come between two interrupts of a moderated NIC.
const pacedRate = 1000

// pace compares moderation with none in rounds: how far packets are apart depends on the machine.
func (d *design) pace(ctx context.Context, r *experiment.Run) (err error) {
	var all []measure.Arm[Turn]
	for _, name := range []string{off, moderated} {
		turn := func(suffix string, l Load) measure.Arm[Turn] {
			return measure.Arm[Turn]{Name: name + suffix, Run: func(ctx context.Context, _ measure.Turn) (Turn, error) {
				return d.generator.turn(ctx, find(name), l)
			}}
		}
		all = append(all, turn("", Load{Packets: pacedRate / 20, Rate: pacedRate}), turn(lightly, Load{Packets: 5, Pause: pause}))
	}
	last := -1
	d.evidence.paced, err = measure.Run(ctx, measure.Plan{Seed: r.Seed, Rounds: d.rounds, Warmup: 1, Progress: func(t measure.Turn) {
		if t.Round > last {
			last = t.Round
			r.Advance(1)
		}
	}}, all...)
	return err
}

// simulate runs the model.
func (d *design) simulate(ctx context.Context, r *experiment.Run) (err error) {
	costless := sim.Costs{Application: modelCosts().Application}
	for i, mode := range modelled() {
		if d.evidence.model[mode], err = model(ctx, r.Random(uint64(i)), mode, modelCosts()); err != nil {
			return err
		}
		if d.evidence.free[mode], err = model(ctx, r.Random(uint64(i)), mode, costless); err != nil {
			return err
		}
	}
	return nil
}
