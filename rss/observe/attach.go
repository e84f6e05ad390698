package observe

import (
	"errors"
	"fmt"
	"strings"

	"lbctl/bpf"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Open observes an interface, given by its index in the calling thread's namespace.
// With Auto it stands natively, asking the driver for the hash if the driver can tell; else natively
// without; else generically; and on a packet socket where another XDP program has the
// interface. Notes tells what was refused. No packet is changed or lost by it.
func Open(index int, options Options) (*Observer, error) {
	options = options.withDefaults()
	var notes []string
	for _, try := range attempts(options.Mode) {
		o, err := try.open(index, options)
		if err == nil {
			o.mode, o.hash, o.notes = try.mode, try.hash, notes
			return o, nil
		}
		if errors.Is(err, unix.EPERM) {
			return nil, fmt.Errorf("load and attach a program: %w", unix.EPERM)
		}
		notes = append(notes, fmt.Sprintf("not %s: %v", try.what, err))
	}
	// Without the causes: a verifier's EACCES is no lack of privilege.
	return nil, errors.New(strings.Join(notes, "; "))
}

// attempt is one way to observe.
type attempt struct {
	mode Mode
	what string
	hash bool
	open func(index int, options Options) (*Observer, error)
}

// attempts are the ways that a mode stands for, the best first.
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
	o, err := load(bpf.ObserveProgObserveHash, index, options)
	if err != nil {
		return nil, err
	}
	return o.attach(index, link.XDPDriverMode)
}

func openXDP(index int, mode link.XDPAttachFlags, options Options) (*Observer, error) {
	o, err := load(bpf.ObserveProgObserve, 0, options)
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

// openSocket watches on a packet socket of the interface.
func openSocket(index int, options Options) (*Observer, error) {
	o, err := load(bpf.ObserveProgObserveSocket, 0, options)
	if err != nil {
		return nil, err
	}
	if err := o.listen(index); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// listen opens the socket deaf, gives it the filter, and only then binds it.
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
