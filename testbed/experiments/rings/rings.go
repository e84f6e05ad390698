// Package rings measures what it costs to allocate a buffer for each packet, beside a ring of buffers that are made once. One
// process receives the same frames from a veth by the same system call; only where its buffers come from differs.
//
// The kernel of this machine allocates and frees memory for each of these frames, too, in every arm alike. The textbook's
// ring is that of the kernel; this one is a program's, where the two policies can be exchanged and their cost be seen.
package rings

import (
	"context"
	"time"

	"lbctl/testbed/experiment"
	"lbctl/testbed/helper"
	"lbctl/testbed/measure"
	"lbctl/testbed/netns"
	"lbctl/testbed/xdp"
)

// The names of checks and controls.
const (
	AllReceived      = "all-received"
	AllocatesEach    = "allocates-each"
	RingAllocates    = "ring-allocates-nothing"
	RingCheaper      = "ring-cheaper"
	OneLoses         = "one-slot-loses"
	AllocateCollects = "allocate-collects"
)

// Experiment is the entry of the catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: "rings", Problem: "4a",
		Question: "What does it cost to allocate a buffer for each packet and to free it again, and what does a ring of buffers save that are made once?",
		Claim:    "Buffers for packets are dynamically allocated and deallocated, which costs. Preallocate a circular ring of packet buffers (netmap, DPDK).",
		Method: "A process receives the same frames from a veth by read(2) and keeps each for a while, as a program does that waits for an answer: in a buffer that it allocates and forgets, in one from a sync.Pool, or in the next of a ring. " +
			"The runtime counts allocations and cycles of the garbage collector; CPU time is that of all threads of the process, the collector's and the sending included; how long a frame took is measured from asking for its buffer to the end of its handling. The process has other live memory, which a collector looks through. " +
			"The kernel allocates memory for each frame in every arm alike: this shows the price of a policy in a program, not that of the kernel's.",
		Needs: experiment.Needs{Time: 25 * time.Second, Quick: 8 * time.Second},
		Rig:   "veth, live frames",
		Checks: []experiment.Statement{
			{Name: AllReceived, Text: "with each policy every frame is received and kept unchanged until its buffer goes back"},
			{Name: AllocatesEach, Text: "a buffer for each packet: one allocation a frame, and the collector runs"},
			{Name: RingAllocates, Text: "ring: no buffer is allocated, and the collector does not run"},
			{Name: RingCheaper, Text: "a frame takes less CPU time with the ring than with a buffer of its own"},
		},
		Controls: []experiment.Statement{
			{Name: OneLoses, Text: "a ring of one buffer: frames that come while it is kept are lost"},
			{Name: AllocateCollects, Text: "a buffer for each packet, held against what is demanded of the ring"},
		},
		Predictions: predictions(),
		Design:      func() experiment.Design { return &design{} },
	}
}

// design implements experiment.Design.
type design struct {
	frames, window, slots, live, rounds int

	run      *experiment.Run
	receiver *helper.Process
	rounded  *measure.Rounds[Round]
}

// falseAlarm is the rate of the only verdict on a quantity with noise.
const falseAlarm = measure.FalseAlarm

// minRounds is the least number of rounds of which a median has an interval.
var minRounds = measure.RoundsFor(falseAlarm)

// Parameters implements experiment.Design.
func (d *design) Parameters(f *experiment.Parameters) {
	type ints = experiment.Ints
	f.Int(&d.frames, "frames", ints{Low: minFrames, High: 1 << 22, Default: 32_768, Quick: minFrames, Full: 131_072}, "frames with each policy in a round")
	f.Int(&d.window, "window", ints{Low: 1, High: 4096, Default: 64}, "how many frames the program keeps at a time")
	f.Int(&d.slots, "slots", ints{Low: 2, High: maxSlots, Default: 128}, "buffers of the ring; more than the window")
	f.Int(&d.live, "live", ints{Low: 1, High: 256, Default: 16, Quick: 4}, "other live memory of the process, in MB")
	f.Int(&d.rounds, "rounds", ints{Low: minRounds, High: 10_000, Default: 40, Quick: minRounds, Full: 200}, "rounds")
	// Buffers that are allocated must be as much as twice the other memory, the process's own included: then the collector runs
	// in every round.
	f.Check(func() error { return experiment.Within("live", d.live, 1, d.frames*bufferSize>>21-ownMemory) })
	// One more is filled while the window's are kept.
	f.Check(func() error { return experiment.Within("slots", d.slots, d.window+1, maxSlots) })
}

// The least number of frames of a round, how many MB the process has by itself at most, and the most buffers.
const (
	minFrames = 256 * xdp.LiveBatch
	ownMemory = 10
	maxSlots  = 8192
)

// Arms implements experiment.Design.
func (d *design) Arms(_ context.Context, r *experiment.Run) ([]experiment.Arm, error) {
	d.run = r
	host, err := r.Bed.Namespace("host")
	if err != nil {
		return nil, err
	}
	if _, _, err = netns.Veth(netns.End{Namespace: host, Name: sending}, netns.End{Namespace: host, Name: receiving}, 0); err != nil {
		return nil, err
	}
	if d.receiver, err = Receiver().Start(r.Program, host, "receiver", ReceiverConfig{Live: d.live}); err != nil {
		return nil, err
	}
	r.Bed.OnClose(d.receiver.Stop)
	if err := d.receiver.Await(helper.Ready); err != nil {
		return nil, err
	}
	return []experiment.Arm{{Name: "receive", Steps: (d.rounds + 1) * len(policies()), Run: d.measure}}, nil
}

// measure lets the process receive with each policy in turns.
func (d *design) measure(ctx context.Context) (err error) {
	var arms []measure.Arm[Round]
	for _, p := range policies() {
		arms = append(arms, measure.Arm[Round]{Name: string(p), Run: func(ctx context.Context, _ measure.Turn) (Round, error) {
			return helper.Ask[Round](ctx, d.receiver, Order{Policy: p, Frames: d.frames, Window: d.window, Slots: d.slots})
		}})
	}
	d.rounded, err = measure.Run(ctx, measure.Plan{
		Seed: d.run.Seed, Rounds: d.rounds, Warmup: 1, Progress: func(measure.Turn) { d.run.Advance(1) },
	}, arms...)
	return err
}

// Conclude implements experiment.Design.
func (d *design) Conclude(r *experiment.Run) error {
	e := evidence{d.rounded}
	r.Check(e.checks()...)
	r.Control(e.controls()...)
	r.Noise = measure.Describe(e.rounds.Noise())
	e.answer(r)
	r.Table(e.table())
	figure, err := e.figure()
	r.Figure(figure)
	return err
}
