package rig

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/testbed/netns"
)

// SteerConfig says how a Steer is built.
type SteerConfig struct {
	// Host is the interface whose transmitted frames are spread.
	Host netns.End
	// NIC has the key, table and fields that the kernel is given.
	NIC *nic.NIC
	// Queues is the number of queues, 1 to 256; 0: as many as the NIC's table names.
	Queues int
	// MTU is the interface's; 0: netns.DefaultMTU.
	MTU int
}

// Steer is a multi-queue TAP whose queue is chosen in the kernel by the Toeplitz program
// bpf/src/steer.bpf.c. It is the mirror image of a NIC: frames that the host sends out of the interface
// come, by queue, to Receive. Safe for concurrent use, but for Close.
type Steer struct {
	config  SteerConfig
	tap     *tap
	program *steering
	stop    event
	readers sync.WaitGroup
	end     func() error
	mu      sync.Mutex
	errs    []error
}

// StartSteer makes the interface, up and without offloads, and calls receive for every frame that
// the host sends, with its queue and the frame, which is valid during the call. One goroutine for each
// queue calls it.
func StartSteer(c SteerConfig, receive func(q rss.Queue, frame []byte)) (*Steer, error) {
	shape := Config{Wire: c.Host, Host: c.Host, NIC: c.NIC, Queues: c.Queues, MTU: c.MTU}.withDefaults()
	if err := shape.validate(); err != nil {
		return nil, fmt.Errorf("start steer: %w", err)
	}
	c.Queues, c.MTU = shape.Queues, shape.MTU
	s := &Steer{config: c}
	s.end = sync.OnceValue(s.shut)
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("start steer: %w", err), s.Close())
	}
	for q, fd := range s.tap.fds {
		s.readers.Go(func() { s.read(rss.Queue(q), fd, receive) })
	}
	return s, nil
}

// open allocates everything whose allocation can fail.
func (s *Steer) open() (err error) {
	if s.stop, err = newEvent(); err != nil {
		return err
	}
	if s.program, err = loadSteering(s.config.NIC); err != nil {
		return err
	}
	if s.tap, err = openHost(s.config.Host, s.config.Queues, s.config.MTU); err != nil {
		return err
	}
	return attachSteering(s.tap.fds[0], s.program.objects.Steer)
}

// attachSteering gives a TAP the program that chooses its queues: it is a socket filter (tun_set_ebpf).
func attachSteering(fd int, program *ebpf.Program) error {
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETSTEERINGEBPF, program.FD()); err != nil {
		return fmt.Errorf("attach steering program: %w", err)
	}
	return nil
}

// read gives the frames of one queue to receive until the rig is closed.
func (s *Steer) read(q rss.Queue, fd int, receive func(rss.Queue, []byte)) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(s.stop.fd), Events: unix.POLLIN}}
	buffer := make([]byte, frameSize(s.config.MTU))
	for {
		n, err := read(fd, buffer)
		switch {
		case err == nil:
			receive(q, buffer[:n])
			continue
		case !errors.Is(err, unix.EAGAIN):
			s.fail(fmt.Errorf("read queue %d: %w", q, err))
			return
		}
		if err := wait(fds); err != nil {
			s.fail(fmt.Errorf("wait for queue %d: %w", q, err))
			return
		}
		if fds[1].Revents != 0 {
			return
		}
	}
}

func (s *Steer) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, err)
}

// Host returns the interface.
func (s *Steer) Host() (netns.Link, error) { return s.config.Host.Namespace.Link(s.config.Host.Name) }

// Close removes the interface. It returns an error if reading had failed before. A second call does nothing.
func (s *Steer) Close() error { return s.end() }

func (s *Steer) shut() error {
	if s.stop.made {
		s.stop.signal()
	}
	s.readers.Wait()
	s.tap.close()
	s.stop.close()
	if s.program != nil {
		s.errs = append(s.errs, s.program.objects.Close())
	}
	return errors.Join(s.errs...)
}
