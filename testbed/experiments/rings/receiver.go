package rings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"runtime"
	"runtime/metrics"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbctl/testbed/helper"
	"lbctl/testbed/measure"
	"lbctl/testbed/netns"
	"lbctl/testbed/xdp"
)

// Order is what the receiver is told to do.
type Order struct {
	Policy Policy
	// Frames is how many are sent and received, Window how many of them the program keeps at a time: it gives the oldest back when
	// another one comes. Slots is the size of the ring.
	Frames, Window, Slots int
}

// Round is what became of an order.
type Round struct {
	Sent, Received int
	// Dropped frames came when there was no buffer for them; Damaged were not what was sent when they were given back.
	Dropped, Damaged int
	// Objects and Bytes are what was allocated from the heap meanwhile, Collections the cycles of the garbage collector.
	Objects, Bytes, Collections uint64
	// CPU is the time of all threads of the process, the collector's and the sending included.
	CPU time.Duration
	// Times are how long each frame took, from asking for a buffer to its return.
	Times measure.Latencies
}

// ReceiverConfig is the receiver: Live is how much memory it uses beside its buffers, in MB. A collector has to look through it.
type ReceiverConfig struct{ Live int }

// Receiver is the receiver as a helper process: an Order a line of standard input, a Round a line of standard output. It makes
// a namespace of its own, with a veth on which it sends frames to itself.
func Receiver() helper.Helper[ReceiverConfig] {
	return helper.Helper[ReceiverConfig]{Name: "ring-receiver", Run: receive}
}

// node is a part of the memory that lives, as a table of flows has them: the collector follows each.
type node struct {
	next *node
	_    [48]byte
}

func receive(ctx context.Context, c ReceiverConfig, stdin io.Reader, stdout io.Writer) (err error) {
	run, err := netns.NewRun()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	r, err := newReceiver(run)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(r.pass.Close(), r.source.Close(), err) }()
	var live *node
	for range c.Live << 20 / int(unsafe.Sizeof(node{})) {
		live = &node{next: live}
	}
	in, out := json.NewDecoder(stdin), json.NewEncoder(stdout)
	for ctx.Err() == nil {
		var o Order
		if err := in.Decode(&o); err != nil {
			runtime.KeepAlive(live)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read order: %w", err)
		}
		round, err := r.obey(o)
		if err != nil {
			return err
		}
		if err := out.Encode(&round); err != nil {
			return err
		}
	}
	return nil
}

// receiver is a packet socket at one end of a veth, and a source of frames at the other.
type receiver struct {
	namespace *netns.Namespace
	source    *xdp.Source
	// pass is the program without which the veth receives nothing; nobody else holds it.
	pass  io.Closer
	fd    int
	frame []byte
	// spare is where a frame goes for which there is no buffer.
	spare []byte
}

// frameSize is that of all frames, in bytes; bufferSize holds the largest of an Ethernet link.
const (
	frameSize  = 1024
	bufferSize = 2048
)

// experimental is the EtherType for local experiments (IEEE 802).
const experimental = 0x88b5

func newReceiver(run *netns.Run) (*receiver, error) {
	r := &receiver{fd: -1, frame: make([]byte, frameSize), spare: make([]byte, bufferSize)}
	copy(r.frame, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, experimental >> 8, experimental & 0xff})
	for i := 14; i < frameSize; i++ {
		r.frame[i] = byte(7 * i)
	}
	var err error
	if r.namespace, err = run.Make("rings"); err != nil {
		return nil, err
	}
	from, to, err := netns.Veth(netns.End{Namespace: r.namespace, Name: "tx"}, netns.End{Namespace: r.namespace, Name: "rx"}, 0)
	if err != nil {
		return nil, err
	}
	if r.source, err = xdp.NewSource(from); err != nil {
		return nil, err
	}
	if r.pass, err = xdp.Receive(to); err != nil {
		return nil, err
	}
	return r, r.namespace.Do(func() error { return r.open(to) })
}

// open opens the socket, with room for more than a batch of frames.
func (r *receiver) open(l netns.Link) (err error) {
	if r.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return fmt.Errorf("open packet socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
		unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: bits.ReverseBytes16(unix.ETH_P_ALL), Ifindex: l.Index}),
	)
	if err != nil {
		return fmt.Errorf("open packet socket: %w", err)
	}
	return nil
}

// late is how long the last frames may take.
const late = 2 * time.Second

// obey sends and receives, a batch at a time, with buffers of a policy.
func (r *receiver) obey(o Order) (round Round, err error) {
	p, err := newBuffers(o)
	if err != nil {
		return round, err
	}
	runtime.GC() // what an earlier order left is not this one's
	w := newWindow(p, o.Window, r.frame, &round)
	err = r.namespace.Do(func() error {
		return measure.OnOneCore(func() error {
			before, err := readUsage()
			if err != nil {
				return err
			}
			for round.Sent < o.Frames {
				sent, err := r.source.Send(r.frame, xdp.LiveBatch)
				if err != nil {
					return err
				}
				round.Sent += sent
				for end := time.Now().Add(late); round.Received+round.Dropped < round.Sent && time.Now().Before(end); {
					if err := r.take(w); err != nil {
						return err
					}
				}
			}
			w.empty()
			return before.since(&round)
		})
	})
	return round, err
}

// take reads all frames that have come.
func (r *receiver) take(w *window) error {
	for {
		began := time.Now()
		buffer := w.buffers.get()
		into := buffer
		if into == nil {
			into = r.spare
		}
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(r.fd), uintptr(unsafe.Pointer(&into[0])), uintptr(len(into)))
		if errno != 0 && buffer != nil {
			w.buffers.put(buffer)
		}
		switch {
		case errno == unix.EAGAIN:
			return nil
		case errno == unix.EINTR:
		case errno != 0:
			return fmt.Errorf("read: %w", errno)
		case buffer == nil:
			w.round.Dropped++
		default:
			w.round.Received++
			w.keep(buffer[:n])
			w.round.Times.Record(time.Since(began))
		}
	}
}

// usage is what the process has used.
type usage struct {
	cpu     unix.Timespec
	samples []metrics.Sample
}

func readUsage() (u usage, err error) {
	u.samples = []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(u.samples)
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &u.cpu); err != nil {
		return u, fmt.Errorf("read cpu time of process: %w", err)
	}
	return u, nil
}

// since enters what was used since then.
func (u usage) since(r *Round) error {
	now, err := readUsage()
	if err != nil {
		return err
	}
	for i, into := range []*uint64{&r.Objects, &r.Bytes, &r.Collections} {
		*into = now.samples[i].Value.Uint64() - u.samples[i].Value.Uint64()
	}
	r.CPU = time.Duration(now.cpu.Nano() - u.cpu.Nano())
	return nil
}
