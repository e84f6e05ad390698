package tophalf

import (
	"bytes"
	"compress/gzip"
	"encoding/gob"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/testbed/experiment"
	"lbctl/testbed/helper"
	"lbctl/testbed/trace"
	"lbctl/testbed/vm/guest"
)

// Order is what the host wants of the guest: one of its fields is set.
type Order struct {
	// Up sets the NICs up and the tracer: Answer.NICs are their names.
	Up []guest.Link `json:"up,omitempty"`
	// Listen waits for a connection and receives one segment on it, recorded.
	Listen *Listen `json:"listen,omitempty"`
	// Armed waits until the receiver sleeps in its read.
	Armed bool `json:"armed,omitempty"`
	// End waits until it has read: Answer.Recording is what the kernel did meanwhile.
	End bool `json:"end,omitempty"`
}

// Listen says how the segment is received.
type Listen struct {
	NIC    string `json:"nic"`
	Driver string `json:"driver"`
	// Threaded polls the NIC in a thread of the kernel (/sys/class/net/NIC/threaded).
	Threaded bool `json:"threaded,omitempty"`
	// Bytes is the length of the segment.
	Bytes int `json:"bytes"`
}

// Answer is the guest's.
type Answer struct {
	NICs []string `json:"nics,omitempty"`
	// Recording is a Recording, encoded and packed: the line to the host is slow.
	Recording []byte `json:"recording,omitempty"`
}

// Recording is what the kernel did while one segment was received: every function that it entered, on its only
// processor.
type Recording struct {
	// Interrupt is the name of the NIC's, Receiver the number of the thread that read.
	Interrupt string
	Receiver  int
	Records   []trace.Record
	// Lost is how many records the buffer had no room for.
	Lost int
}

// Helper is the guest as a helper process.
func Helper() helper.Helper[struct{}] { return guest.Role("tophalf", (&role{}).obey) }

// role is the guest's state.
type role struct {
	tracer *trace.Instance
	// events are those of the ring, which are on.
	events  []string
	listen  Listen
	name    string // of the interrupt
	reader  atomic.Int64
	reading atomic.Bool
	done    chan error
}

func (r *role) obey(o Order) (a Answer, err error) {
	switch {
	case o.Up != nil:
		for _, link := range o.Up {
			name, err := link.Up()
			if err != nil {
				return a, err
			}
			a.NICs = append(a.NICs, name)
		}
		return a, r.prepare()
	case o.Listen != nil:
		return a, r.begin(*o.Listen)
	case o.Armed:
		return a, r.armed()
	}
	a.Recording, err = r.end()
	return a, err
}

// prepare defines the probes of the rings, and lets the tracer see every function of the kernel. That comes last: from
// then on each call takes an emulated processor several times as long.
func (r *role) prepare() (err error) {
	if err := define(); err != nil {
		return err
	}
	if r.tracer, err = trace.New("1", "tophalf"); err != nil {
		return err
	}
	if err := r.tracer.Set("buffer_size_kb", "8192"); err != nil {
		return err
	}
	for _, event := range []string{"irq:irq_handler_entry", "irq:softirq_entry", "irq:softirq_exit"} {
		if err := r.tracer.Event(event, ""); err != nil {
			return err
		}
	}
	return r.tracer.Set("current_tracer", "function")
}

// begin listens, and starts the receiver.
func (r *role) begin(l Listen) error {
	r.listen, r.done = l, make(chan error, 1)
	r.reading.Store(false)
	// Where a driver has no polls, the setting is 0.
	if err := guest.Set(l.NIC, "threaded", strconv.Itoa(experiment.One(l.Threaded))); err != nil {
		return err
	}
	interrupt, err := guest.ReceiveInterrupt(l.NIC)
	if err != nil {
		return err
	}
	r.name = interrupt.Name
	for _, event := range r.events {
		if err := r.tracer.Set("events/"+group+"/"+event+"/enable", "0"); err != nil {
			return err
		}
	}
	if r.events, err = watch(r.tracer, l.Driver, interrupt.Number); err != nil {
		return err
	}
	socket, err := listener()
	if err != nil {
		return err
	}
	go r.receive(socket)
	return nil
}

// port is where the guest listens.
const port = 80

func listener() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fd, fmt.Errorf("open socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fd, fmt.Errorf("set up socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port}); err != nil {
		return fd, fmt.Errorf("bind socket: %w", err)
	}
	return fd, unix.Listen(fd, 1)
}

// receive is the receiving process: a thread that sleeps in read(2). The recording begins before that and ends when it
// has the whole segment.
func (r *role) receive(listener int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r.reader.Store(int64(unix.Gettid()))
	connection, _, err := unix.Accept(listener)
	_ = unix.Close(listener)
	if err != nil {
		r.done <- fmt.Errorf("accept connection: %w", err)
		return
	}
	defer unix.Close(connection)
	// The segment is acknowledged at once, not some time later.
	if err := unix.SetsockoptInt(connection, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1); err != nil {
		r.done <- fmt.Errorf("set up connection: %w", err)
		return
	}
	if err := r.tracer.Start(); err != nil {
		r.done <- err
		return
	}
	r.reading.Store(true)
	buffer := make([]byte, r.listen.Bytes)
	for got := 0; got < len(buffer) && err == nil; {
		var n int
		if n, err = unix.Read(connection, buffer[got:]); n == 0 && err == nil {
			err = unix.ECONNRESET
		}
		got += n
	}
	stopped := r.tracer.Stop()
	if err == nil {
		err = stopped
	}
	r.done <- err
}

// armed waits until the receiver sleeps in its read: what the kernel says of the thread begins with its number, its name
// and its state.
func (r *role) armed() error {
	for range 1000 {
		file := fmt.Sprintf("/proc/self/task/%d/stat", r.reader.Load())
		if text, err := os.ReadFile(file); err == nil && r.reading.Load() && strings.Contains(string(text), ") S ") {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("wait for the receiver: it does not sleep")
}

// end returns the recording.
func (r *role) end() ([]byte, error) {
	if err := <-r.done; err != nil {
		return nil, fmt.Errorf("receive segment: %w", err)
	}
	records, err := r.tracer.Read()
	if err != nil {
		return nil, err
	}
	lost, err := r.tracer.Lost()
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	err = gob.NewEncoder(w).Encode(Recording{Interrupt: r.name, Receiver: int(r.reader.Load()), Records: records, Lost: lost})
	if err != nil {
		return nil, fmt.Errorf("encode recording: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), r.tracer.Clear()
}

// unpackRecording reads what end returned.
func unpackRecording(packed []byte) (r Recording, err error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err == nil {
		err = gob.NewDecoder(z).Decode(&r)
	}
	if err != nil {
		return r, fmt.Errorf("decode the guest's recording: %w", err)
	}
	return r, nil
}
