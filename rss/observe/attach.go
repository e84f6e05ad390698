package observe

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"lbctl/bpf"
	"lbctl/bpf/load"
)

// Open observes an interface, given by its index in the calling thread's namespace. Auto
// tries native XDP with the driver's hash, native XDP without, generic XDP, and then a packet socket, which works
// when another XDP program is attached. Notes has the failed attempts. No packet is changed or
// lost.
func Open(index int, options Options) (*Observer, error) {
	options = options.withDefaults()
	if err := load.Kernel(); err != nil {
		return nil, err
	}
	var notes []string
	for _, try := range attempts(options.Mode) {
		o, err := try.open(index, options)
		if err == nil {
			o.mode, o.hash, o.notes = try.mode, try.hash, notes
			return o, nil
		}
		if all := (*load.Error)(nil); errors.As(err, &all) && all.Kind != load.Rejected && all.Kind != load.Failed {
			return nil, err // it would be the same in every mode
		}
		if errors.Is(err, unix.EPERM) {
			return nil, fmt.Errorf("load and attach a program: %w", unix.EPERM)
		}
		notes = append(notes, fmt.Sprintf("not %s: %v", try.what, err))
	}
	// The causes are not wrapped, because EACCES from the BPF verifier is not a lack of privilege.
	return nil, errors.New(strings.Join(notes, "; "))
}

// attempt is one way to observe.
type attempt struct {
	mode Mode
	what string
	hash bool
	open func(index int, options Options) (*Observer, error)
}

// attempts returns the attempts of a mode, the best first.
func attempts(mode Mode) []attempt {
	var some []attempt
	for _, a := range []attempt{
		{Native, "native with the nic's hash", true, openBound},
		{Native, "native", false, func(index int, o Options) (*Observer, error) { return openXDP(index, link.XDPDriverMode, o) }},
		{Generic, "generic", false, func(index int, o Options) (*Observer, error) { return openXDP(index, link.XDPGenericMode, o) }},
		{Socket, "socket", true, openSocket},
	} {
		if mode == Auto || a.mode == mode {
			some = append(some, a)
		}
	}
	return some
}

// openBound asks the driver for the hash, by bpf_xdp_metadata_rx_hash.
func openBound(index int, options Options) (*Observer, error) {
	o, err := loadProgram(bpf.ObserveProgObserveHash, index, options)
	if err != nil {
		return nil, err
	}
	return o.attach(index, link.XDPDriverMode)
}

func openXDP(index int, mode link.XDPAttachFlags, options Options) (*Observer, error) {
	o, err := loadProgram(bpf.ObserveProgObserve, 0, options)
	if err != nil {
		return nil, err
	}
	return o.attach(index, mode)
}

// attach attaches the program, or closes the observer.
func (o *Observer) attach(index int, mode link.XDPAttachFlags) (*Observer, error) {
	l, err := link.AttachXDP(link.XDPOptions{Program: o.program, Interface: index, Flags: mode})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("attach the observer: %w", err), o.Close())
	}
	o.link = l
	return o, nil
}

// openSocket observes on a packet socket.
func openSocket(index int, options Options) (*Observer, error) {
	o, err := loadProgram(bpf.ObserveProgObserveSocket, 0, options)
	if err != nil {
		return nil, err
	}
	if err := o.listen(index); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// listen opens a socket that receives nothing, sets its filter, and then binds it, so that no packet passes unfiltered.
func (o *Observer) listen(index int) (err error) {
	if o.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open packet socket: %w", err)
	}
	if err := unix.SetsockoptInt(o.socket, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, o.program.FD()); err != nil {
		return fmt.Errorf("attach the observer to its socket: %w", err)
	}
	all := uint16(unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8) // in network order
	if err := unix.Bind(o.socket, &unix.SockaddrLinklayer{Ifindex: index, Protocol: all}); err != nil {
		return fmt.Errorf("bind packet socket: %w", err)
	}
	return nil
}

// devBound is BPF_F_XDP_DEV_BOUND_ONLY of include/uapi/linux/bpf.h: the program is bound to one
// device and may call its driver's metadata functions (Linux 6.3 and later).
const devBound = 1 << 6

// loadProgram loads one of the observer's programs; bound, if not 0, is the index of the interface that it is bound to.
func loadProgram(name string, bound int, options Options) (*Observer, error) {
	spec, err := bpf.LoadObserve()
	if err != nil {
		return nil, fmt.Errorf("read the observer's object: %w", err)
	}
	if err := prepare(spec, name, bound, options); err != nil {
		return nil, err
	}
	o := &Observer{}
	all, err := load.All(spec)
	if err != nil {
		return nil, fmt.Errorf("load the observer: %w", err)
	}
	defer all.Close() // the programs and maps that are not taken out of it
	if err := all.Assign(&o.maps); err != nil {
		return nil, fmt.Errorf("load the observer: %w", err)
	}
	o.program = all.DetachProgram(name)
	if options.Samples > 0 {
		if o.samples, err = ringbuf.NewReader(o.maps.Samples); err != nil {
			return nil, errors.Join(fmt.Errorf("open the observer's samples: %w", err), o.Close())
		}
	}
	return o, nil
}

// prepare leaves one program in the collection, because this kernel may not have the functions that the others call.
func prepare(spec *ebpf.CollectionSpec, name string, bound int, options Options) error {
	program := spec.Programs[name]
	if bound != 0 {
		program.Ifindex, program.Flags = uint32(bound), program.Flags|devBound
	}
	spec.Programs = map[string]*ebpf.ProgramSpec{name: program}
	spec.Maps[bpf.ObserveMapSightings].MaxEntries = options.Flows
	ring := max(options.Samples, uint32(os.Getpagesize()))
	spec.Maps[bpf.ObserveMapSamples].MaxEntries = 1 << bits.Len32(ring-1)
	err := errors.Join(
		spec.Variables[bpf.ObserveVarSampling].Set(options.Samples > 0),
		spec.Variables[bpf.ObserveVarSampleAll].Set(options.EveryPacket),
	)
	if err != nil {
		return fmt.Errorf("set up the observer: %w", err)
	}
	return nil
}

// release closes what loadProgram opened.
func (o *Observer) release() error {
	var errs []error
	if o.samples != nil {
		errs = append(errs, o.samples.Close())
	}
	return errors.Join(append(errs, o.program.Close(), o.maps.Close())...)
}
