// Package copies measures what it costs to bring a packet from the driver's memory to a program: by read(2), by a ring that
// the kernel and the process share (TPACKET_V3), by an AF_XDP socket, and not at all, by a program that looks at the packet
// where the driver has it.
//
// The same frames take each path. Who copies how many bytes is counted, not assumed: in a guest, whose kernel can
// probe its functions. What it costs is measured on this machine's kernel, in CPU time for payloads of 64 to 1500 bytes: the
// slope over the payload is the price of copying, the rest is the price of everything else.
package copies

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/netns"
	"lbctl/testbed/trace"
	"lbctl/testbed/vm"
	"lbctl/testbed/xdp"
)

// The names of checks and controls.
const (
	SameFrames      = "same-frames"
	ReadCopiesOnce  = "read-copies-once"
	RingCopiesOnce  = "ring-copies-once"
	XDPCopiesOnce   = "af_xdp-copies-once"
	InPlaceNever    = "in-place-never"
	SameHere        = "same-on-this-kernel"
	SocketBinds     = "af_xdp-binds"
	BytesCost       = "bytes-cost"
	CallsCost       = "calls-cost"
	PeekCopiesTwice = "peek-copies-twice"
	ZeroCopyRefused = "zero-copy-refused"
	OneSize         = "one-size"
)

// Experiment is the entry of the catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: "copies", Problem: "2, 4b",
		Question: "How often is a received packet copied on its way to a program, what does that cost, and what does a buffer save that kernel and process share?",
		Claim:    "The network stack copies packets several times, from the device to kernel space to user space. Copies are avoided by DMA into user space (DPDK) or by mapping kernel packet buffers into it (netmap).",
		Method: "Frames arrive on a veth from the kernel itself, in pages as a driver's receive ring has them, and take four paths: read(2) on a packet socket; a packet ring that is mapped into the process (TPACKET_V3); an AF_XDP socket; an XDP program that sees the frame in place. " +
			"Copies are counted in a guest, on a Debian kernel that can probe itself: probes at the functions that move a frame's bytes (skb_copy_datagram_iter, skb_copy_bits, __xsk_rcv) read from an argument how many; and every other traceable function with copy in its name is counted, too. memcpy itself is not traceable. On this machine's kernel the event skb_copy_datagram_iovec counts once more what is copied to a process. " +
			"Cost is CPU time of a thread that sends 64 frames and takes them, again and again, in rounds; sending is in it, and is the same for all. The frames are in the core's cache when they are copied, which is as cheap as copying gets. " +
			"Not shown: DMA, which copies from the wire before any of this and takes no CPU time; and a NIC that writes into the process's memory, because a veth has none.",
		Needs: experiment.Needs{Packages: []string{vm.Package}, Time: 40 * time.Second, Quick: 20 * time.Second},
		Rig:   "veth, live frames; copies counted in a guest",
		Checks: []experiment.Statement{
			{Name: SameFrames, Text: "every frame arrives by every path, byte for byte"},
			{Name: ReadCopiesOnce, Text: "read(2): each frame is copied once, whole, to the process's buffer"},
			{Name: RingCopiesOnce, Text: "mapped ring: each frame is copied once, whole, to the ring, and not to the process"},
			{Name: XDPCopiesOnce, Text: "AF_XDP in copy mode: each frame is copied once, whole, to the socket's memory"},
			{Name: InPlaceNever, Text: "in place: no frame is copied"},
			{Name: SameHere, Text: "this kernel's event says so too: read(2) copies each frame to the process, no other path does"},
			{Name: SocketBinds, Text: "the AF_XDP socket can be bound"},
			{Name: BytesCost, Text: "the cost of read(2) grows with the payload, beside that of a program in place"},
			{Name: CallsCost, Text: "at 64 bytes, where copying hides, read(2) still costs more than the mapped ring: the system call"},
		},
		Controls: []experiment.Statement{
			{Name: PeekCopiesTwice, Text: "the process looks at each frame with MSG_PEEK before it reads it: two copies are counted"},
			{Name: ZeroCopyRefused, Text: "the AF_XDP socket asks to do without the copy: a veth refuses (EOPNOTSUPP)"},
			{Name: OneSize, Text: "frames of 64 bytes in the place of 1500: without payload the slope is gone"},
		},
		Predictions: predictions(),
		Design:      func() experiment.Design { return &design{} },
	}
}

// key is frames of a payload on a path.
type key struct {
	path    Path
	payload int
}

func (k key) arm() string { return fmt.Sprintf("%s, %d bytes", k.path, k.payload) }

// The payloads: in bytes, Ethernet header excluded. The first and the last are also those whose copies are counted.
func payloads() []int { return []int{minPayload, 256, 512, 1024, maxPayload} }

const minPayload = 64

// oneSizeArm is the control: read(2) of frames that have minPayload bytes where maxPayload is written.
const oneSizeArm = "control: one size"

// design implements experiment.Design.
type design struct {
	frames, rounds int
	install        bool

	run       *experiment.Run
	namespace *netns.Namespace
	lines     map[Path]*line
	tracer    *trace.Instance
	found     evidence
}

// Parameters implements experiment.Design.
func (d *design) Parameters(f *experiment.Parameters) {
	type ints = experiment.Ints
	f.Int(&d.frames, "frames", ints{Low: xdp.LiveBatch, High: 1 << 20, Default: 2048, Quick: 1024}, "frames of each payload on each path in a round")
	f.Int(&d.rounds, "rounds", ints{Low: minRounds, High: 100_000, Default: 200, Full: 1000}, "rounds")
	f.Bool(&d.install, "install", true, "whether to install QEMU (package "+vm.Package+") and to download a kernel where they are missing")
}

// falseAlarm is the rate of each of the three verdicts on quantities with noise.
const falseAlarm = measure.FalseAlarm / 3

// minRounds is the least number of rounds of which a median has an interval.
var minRounds = measure.RoundsFor(falseAlarm)

// Arms implements experiment.Design.
func (d *design) Arms(_ context.Context, r *experiment.Run) (arms []experiment.Arm, err error) {
	d.run = r
	d.found = evidence{counted: map[key]Counted{}, here: map[key]event{}}
	if d.namespace, err = r.Bed.Namespace("host"); err != nil {
		return nil, err
	}
	if d.tracer, err = r.Bed.Trace("copies"); err != nil {
		return nil, err
	}
	d.lines = map[Path]*line{}
	for i, p := range paths() {
		l, err := newLine(d.namespace, fmt.Sprintf("line%d", i), p)
		if err != nil {
			return nil, err
		}
		r.Bed.Closing(l)
		d.lines[p] = l
	}
	d.found.bound = "bound" // by newLine
	orders := 2 * len(append(paths(), Peek))
	return []experiment.Arm{
		{Name: "count copies in a guest", Steps: 10 * orders, Run: d.countInGuest},
		{Name: "count copies here", Steps: 2 * len(paths()), Run: d.countHere},
		{Name: "ask for no copy", Run: d.askForNoCopy},
		{Name: "time", Steps: d.rounds * (len(paths())*len(payloads()) + 1), Run: d.time},
	}, nil
}

// counts is how many frames copies are counted of.
const counts = xdp.LiveBatch

// countInGuest boots a guest and counts copies there.
func (d *design) countInGuest(ctx context.Context) (err error) {
	namespace, err := d.run.Bed.Namespace("vm")
	if err != nil {
		return err
	}
	m, err := vm.Start(ctx, vm.Config{
		Program: d.run.Program, Namespace: namespace, Role: Guest().Name, Install: d.install, Step: d.run.Step, Log: d.run.Log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	d.found.guest = m.Hello().Kernel
	d.run.Step("count copies in a guest")
	for _, p := range append(paths(), Peek) {
		for _, payload := range []int{minPayload, maxPayload} {
			var c Counted
			if err := m.Ask(ctx, Order{Path: p, Payload: payload, Frames: counts}, &c); err != nil {
				return err
			}
			d.found.counted[key{p, payload}] = c
			d.run.Advance(10)
		}
	}
	return nil
}

// event is what the kernel's event of copies to a process said.
type event struct {
	passed     passed
	calls, all int // of frames with all their bytes; of any number of bytes
}

// countHere passes some frames over each path and counts the event that the kernel has of copies to a process.
func (d *design) countHere(context.Context) error {
	if err := d.tracer.Event("skb:skb_copy_datagram_iovec", ""); err != nil {
		return err
	}
	return d.namespace.Do(func() error {
		if err := d.tracer.Threads(unix.Gettid()); err != nil {
			return err
		}
		for _, p := range paths() {
			for _, payload := range []int{minPayload, maxPayload} {
				e, err := d.countEvents(p, payload)
				if err != nil {
					return err
				}
				d.found.here[key{p, payload}] = e
				d.run.Advance(1)
			}
		}
		return nil
	})
}

func (d *design) countEvents(p Path, payload int) (e event, err error) {
	records, err := d.tracer.Record(func() (err error) {
		e.passed, err = d.lines[p].pass(payload, counts, true)
		return err
	})
	e.count(records, xdp.HeaderLength+payload)
	return e, err
}

// askForNoCopy binds another AF_XDP socket, without copies.
func (d *design) askForNoCopy(context.Context) error {
	_, to, err := netns.Veth(netns.End{Namespace: d.namespace, Name: "zero-tx"}, netns.End{Namespace: d.namespace, Name: "zero-rx"}, 0)
	if err != nil {
		return err
	}
	s, err := xdp.NewSocket(to, xdp.ZeroCopy)
	switch {
	case err == nil:
		d.found.zeroCopy = "bound"
		return s.Close()
	case errors.Is(err, unix.EOPNOTSUPP):
		d.found.zeroCopy = refused
		return nil
	}
	return err
}

// time times all paths and payloads in rounds.
func (d *design) time(ctx context.Context) (err error) {
	var arms []measure.Arm[passed]
	add := func(name string, p Path, payload int) {
		arms = append(arms, measure.Arm[passed]{Name: name, Run: func(context.Context, measure.Turn) (passed, error) {
			return d.lines[p].pass(payload, d.frames, false)
		}})
	}
	for _, p := range paths() {
		for _, payload := range payloads() {
			add(key{p, payload}.arm(), p, payload)
		}
	}
	add(oneSizeArm, Read, minPayload)
	return d.namespace.Do(func() error {
		return measure.OnOneCore(func() (err error) {
			d.found.rounds, err = measure.Run(ctx, measure.Plan{
				Seed: d.run.Seed, Rounds: d.rounds, Warmup: 2, Progress: func(measure.Turn) { d.run.Advance(1) },
			}, arms...)
			return err
		})
	})
}
