package observe

import (
	"errors"
	"fmt"
	"math/bits"
	"os"

	"lbctl/bpf"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

// devBound is BPF_F_XDP_DEV_BOUND_ONLY of include/uapi/linux/bpf.h: the program is for one
// device, whose driver answers its questions (Linux 6.3 and later).
const devBound = 1 << 6

// load loads one of the observer's programs; bound, if not 0, is the index of the interface that it is bound to.
func load(name string, bound int, options Options) (*Observer, error) {
	spec, err := bpf.LoadObserve()
	if err != nil {
		return nil, fmt.Errorf("read the observer's object: %w", err)
	}
	if err := prepare(spec, name, bound, options); err != nil {
		return nil, err
	}
	all, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load the observer: %w", err)
	}
	defer all.Close() // what is left in it
	o := &Observer{}
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

// prepare leaves one program: of the others this kernel may not know what they call.
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

// release closes what load opened.
func (o *Observer) release() error {
	var errs []error
	if o.samples != nil {
		errs = append(errs, o.samples.Close())
	}
	return errors.Join(append(errs, o.program.Close(), o.maps.Close())...)
}
