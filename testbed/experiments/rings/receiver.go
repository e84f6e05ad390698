package rings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/metrics"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbctl/testbed/helper"
	"lbctl/testbed/measure"
	"lbctl/testbed/netns"
	"lbctl/testbed/packetring"
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

// Receiver is the receiver as a helper process: an Order a line of standard input, a Round a line of standard output, after
// helper.Ready. In its namespace is a veth: it sends frames out of one end, and receives them at the other.
func Receiver() helper.Helper[ReceiverConfig] {
	return helper.Helper[ReceiverConfig]{Name: "ring-receiver", Run: receive}
}

// The ends of the veth.
const (
	sending   = "tx"
	receiving = "rx"
)

// node is a part of the memory that lives, as a table of flows has them: the collector follows each.
type node struct {
	next *node
	_    [48]byte
}

func receive(ctx context.Context, c ReceiverConfig, stdin io.Reader, stdout io.Writer) error {
	r, err := newReceiver()
	if err != nil {
		return err
	}
	var live *node
	for range c.Live << 20 / int(unsafe.Sizeof(node{})) {
		live = &node{next: live}
	}
	if _, err := fmt.Fprintln(stdout, helper.Ready); err != nil {
		return err
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

// receiver is a packet socket at one end of the veth, and a source of frames at the other. It is never closed: what it has in the
// kernel ends with the process, however that ends.
type receiver struct {
	source *xdp.Source
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

// newReceiver opens the ends, with room for more than a batch of frames.
func newReceiver() (*receiver, error) {
	r := &receiver{frame: xdp.TestFrame(frameSize - xdp.HeaderLength), spare: make([]byte, bufferSize)}
	own, err := netns.Own()
	if err != nil {
		return nil, err
	}
	from, err := own.Link(sending)
	if err != nil {
		return nil, err
	}
	to, err := own.Link(receiving)
	if err != nil {
		return nil, err
	}
	if r.source, err = xdp.NewSource(from); err != nil {
		return nil, err
	}
	if r.pass, err = xdp.Receive(to); err != nil {
		return nil, err
	}
	r.fd, _, err = packetring.Open(to, 8<<20, packetring.Size{})
	return r, err
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
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = measure.OnOneCore(func() error {
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
