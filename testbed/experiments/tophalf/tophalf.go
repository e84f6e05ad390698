// Package tophalf is the experiment tophalf: what of a packet's reception runs in the interrupt's top half.
//
// A guest with a real driver receives one TCP segment from the host, while the function tracer of its kernel records
// every function that the kernel enters, with its context: in a hard interrupt, in a softirq, or neither. Probes read
// the driver's ring before and after each interrupt and each poll. So each of the four answers of the textbook has its
// place, on a NIC with DMA and polls (e1000), on another (virtio-net), and on one of the time before both (NE2000), whose
// driver does in its top half what the textbook's answer says.
package tophalf

import (
	"context"
	"fmt"
	"net"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/experiment"
	"lbctl/testbed/netns"
	"lbctl/testbed/vm"
	"lbctl/testbed/vm/guest"
)

// Experiment is the entry of the lab's catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: "tophalf", Problem: "9",
		Question: "Which part of a packet's reception does the operating system do in the top half of the NIC's interrupt, and which later?",
		Claim:    "Of copying the packet from the NIC's memory to the kernel's, copying it from there to user memory, updating the RX ring pointers, and sending the TCP acknowledgement, only the update of the RX ring pointers belongs to the top half.",
		Method: "A QEMU guest with Debian's kernel receives one TCP segment from the host on a socket that a process reads. The kernel's function tracer records every function that it enters (Documentation/trace/ftrace.rst), and whether the processor was in a hard interrupt (h, H), in a softirq (s) or in neither; the event irq_handler_entry tells which hard interrupts are the NIC's. " +
			"Probes (kprobes) read the driver's ring from memory, and the tail register from the NIC, before and after all handlers of the interrupt and before and after each poll. A copy that the compiler put into its caller's code is no function, and the tracer does not see it. But nobody copies a packet that was not taken from the ring: while the ring stands still, such a copy is excluded too.",
		Needs: experiment.Needs{Packages: []string{vm.Package}, Time: 40 * time.Second, Quick: 20 * time.Second},
		Rig:   "vm",
		Checks: []experiment.Statement{
			{Name: Whole, Text: "each recording has the NIC's interrupt, the packet taken from the ring, the acknowledgement, the wake-up and the copy to user memory, and lost nothing"},
			{Name: NoCopy, Text: "no function that copies data runs in the top half"},
			{Name: NoAck, Text: "no acknowledgement is sent in the top half"},
			{Name: RingStill, Text: "the ring stands after the top half where it stood before, and each packet moves it in a poll"},
			{Name: PollInSoftirq, Text: "the driver's poll runs in a softirq and nowhere else"},
			{Name: Masked, Text: "the NIC does not interrupt again before its poll is complete"},
			{Name: UserInProcess, Text: "the copy to user memory is made by the receiving process"},
		},
		Controls: []experiment.Statement{
			{Name: ThreadedNAPI, Text: "the NIC is polled in a thread of the kernel: " + PollInSoftirq + " must fail"},
			{Name: NoDMA, Text: "the NIC has no DMA and its driver no polls (NE2000): " + NoCopy + " and " + RingStill + " must fail"},
		},
		Predictions: predictions(),
		Design:      func() experiment.Design { return &design{} },
	}
}

// The arms.
const (
	armE1000    = "e1000"
	armVirtio   = "virtio-net"
	armThreaded = "control: e1000, threaded"
	armNE2000   = "control: NE2000"
)

// nics are the guest's, with the drivers' names of the arms.
var nics = []struct{ model, driver string }{
	{"e1000", "e1000"}, {"virtio-net-pci", "virtio_net"}, {"ne2k_pci", "ne2k_pci"},
}

// design implements experiment.Design.
type design struct {
	segments, bytes int
	install         bool

	namespace *netns.Namespace
	machine   *vm.Machine
	links     []guest.Link
	names     []string
	// evidence is by arm.
	evidence map[string]Evidence
}

// Evidence is what one arm recorded.
type Evidence struct {
	Driver     string
	Receptions []Reception
}

// Parameters implements experiment.Design.
func (d *design) Parameters(f *experiment.Parameters) {
	f.Int(&d.segments, "segments", experiment.Ints{Low: 1, High: 100, Default: 5, Quick: 1, Full: 25}, "the number of segments that each NIC receives, each on a connection of its own")
	f.Int(&d.bytes, "bytes", experiment.Ints{Low: 300, High: 1400, Default: 1000}, "the length of a segment in bytes; e1000 copies packets below 256 to smaller buffers")
	f.Bool(&d.install, "install", true, "whether to install QEMU (package "+vm.Package+") and to download a kernel where they are missing")
}

// Arms implements experiment.Design: it boots the guest.
func (d *design) Arms(ctx context.Context, r *experiment.Run) (arms []experiment.Arm, err error) {
	d.evidence, r.XDP = map[string]Evidence{}, "not used"
	if d.namespace, err = r.Bed.Namespace("vm"); err != nil {
		return nil, err
	}
	config := vm.Config{
		Program: r.Program, Namespace: d.namespace, Role: Helper().Name, Kernel: vm.PlainKernel,
		Install: d.install, Step: r.Step, Log: r.Log,
	}
	for i, n := range nics {
		config.NICs = append(config.NICs, vm.NIC{Model: n.model, MAC: packet.MAC{2, 0, 0, 0, 1, byte(i)}})
	}
	d.machine, err = vm.Start(ctx, config)
	if err != nil {
		return nil, err
	}
	r.Bed.Closing(d.machine)
	r.Step("set up the guest's tracer")
	if err := d.up(ctx, config.NICs); err != nil {
		return nil, err
	}
	for _, a := range []struct {
		name     string
		nic      int
		threaded bool
	}{{armE1000, 0, false}, {armVirtio, 1, false}, {armThreaded, 0, true}, {armNE2000, 2, false}} {
		arms = append(arms, experiment.Arm{Name: a.name, Steps: d.segments, Run: func(ctx context.Context) error {
			return d.arm(ctx, r, a.name, a.nic, a.threaded)
		}})
	}
	return arms, nil
}

// up sets both ends of all cables up.
func (d *design) up(ctx context.Context, all []vm.NIC) error {
	for i, n := range all {
		_, link, err := vm.Cable(d.namespace, i, n)
		if err != nil {
			return err
		}
		d.links = append(d.links, link)
	}
	var answer Answer
	err := d.machine.Ask(ctx, Order{Up: d.links}, &answer)
	d.names = answer.NICs
	return err
}

// arm has one NIC receive all its segments.
func (d *design) arm(ctx context.Context, r *experiment.Run, name string, nic int, threaded bool) error {
	e := Evidence{Driver: nics[nic].driver}
	order := Order{Listen: &Listen{NIC: d.names[nic], Driver: e.Driver, Threaded: threaded, Bytes: d.bytes}}
	for range d.segments {
		recording, err := d.record(ctx, order, d.links[nic].Address.Addr().String())
		if err != nil {
			return err
		}
		e.Receptions = append(e.Receptions, classify(recording))
		r.Advance(1)
	}
	d.evidence[name] = e
	return nil
}

// record sends one segment, and returns what the guest's kernel did with it.
func (d *design) record(ctx context.Context, order Order, address string) (Recording, error) {
	var answer Answer
	if err := d.machine.Ask(ctx, order, &answer); err != nil {
		return Recording{}, err
	}
	dialer := net.Dialer{Timeout: 10 * time.Second}
	dialer.SetMultipathTCP(false)
	var connection net.Conn
	err := d.namespace.Do(func() (err error) {
		connection, err = dialer.DialContext(ctx, "tcp4", net.JoinHostPort(address, fmt.Sprint(port)))
		return err
	})
	if err != nil {
		return Recording{}, fmt.Errorf("connect to the guest: %w", err)
	}
	defer connection.Close()
	if err := d.machine.Ask(ctx, Order{Armed: true}, &answer); err != nil {
		return Recording{}, err
	}
	if _, err := connection.Write(make([]byte, order.Listen.Bytes)); err != nil {
		return Recording{}, fmt.Errorf("send segment: %w", err)
	}
	if err := d.machine.Ask(ctx, Order{End: true}, &answer); err != nil {
		return Recording{}, err
	}
	return unpackRecording(answer.Recording)
}
