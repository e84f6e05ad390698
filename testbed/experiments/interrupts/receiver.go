package interrupts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/testbed/measure"
)

// The ports of the guest's receiver, and of the host's end that waits for answers.
const (
	port       = 9000
	answerPort = 9001
)

// receiver is the application: a thread of its own that receives datagrams and works on each.
type receiver struct {
	socket, back int
	start        Start
	thread       int
	finished     atomic.Uint64
	last         atomic.Int64 // when, on the monotonic clock
	stopped      atomic.Bool
	ended        chan error
}

// length is that of a datagram, in bytes: whether an answer is wanted, and room for the result.
const length = 64

// budget is how many packets a receiver that polls takes from the NIC at a time (SO_BUSY_POLL_BUDGET), spin how long it
// polls in a call, in microseconds: any time, since its calls do not wait.
const (
	budget = 64
	spin   = 50
)

func newReceiver(s Start) (r *receiver, err error) {
	r = &receiver{socket: -1, back: -1, start: s, ended: make(chan error, 1)}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.socket, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return r, fmt.Errorf("open socket: %w", err)
	}
	if err := unix.BindToDevice(r.socket, s.NIC); err != nil {
		return r, fmt.Errorf("bind socket to %s: %w", s.NIC, err)
	}
	if err := unix.Bind(r.socket, &unix.SockaddrInet4{Port: port}); err != nil {
		return r, fmt.Errorf("bind socket: %w", err)
	}
	if s.Setup.Busy {
		for option, value := range map[int]int{unix.SO_BUSY_POLL: spin, unix.SO_PREFER_BUSY_POLL: 1, unix.SO_BUSY_POLL_BUDGET: budget} {
			if err := unix.SetsockoptInt(r.socket, unix.SOL_SOCKET, option, value); err != nil {
				return r, fmt.Errorf("let socket poll the NIC: %w", err)
			}
		}
	}
	if r.back, err = backSocket(s); err != nil {
		return r, err
	}
	started := make(chan int)
	go func() { r.ended <- r.run(started) }()
	r.thread = <-started
	return r, nil
}

// backSocket is connected to the host.
func backSocket(s Start) (int, error) {
	peer, err := netip.ParseAddr(s.Peer)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open socket: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: answerPort, Addr: peer.As4()}); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect socket: %w", err)
	}
	return fd, nil
}

// run receives until it is stopped.
func (r *receiver) run(started chan<- int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	started <- unix.Gettid()
	flags := 0
	if r.start.Setup.Busy {
		flags = unix.MSG_DONTWAIT
	}
	packet := make([]byte, 2048)
	for {
		n, _, err := unix.Recvfrom(r.socket, packet, flags)
		if r.stopped.Load() {
			return nil
		}
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		result := work(packet[:n], r.start.Work)
		r.last.Store(int64(measure.Monotonic()))
		r.finished.Add(1)
		if n >= length && packet[0] == 1 {
			binary.LittleEndian.PutUint64(packet[8:], result)
			if _, err := unix.Write(r.back, packet[:length]); err != nil {
				return fmt.Errorf("answer: %w", err)
			}
		}
	}
}

// work is the application's work on a packet: an FNV hash of it, again and again.
func work(packet []byte, times int) uint64 {
	h := uint64(14695981039346656037)
	for range times {
		for _, b := range packet {
			h = (h ^ uint64(b)) * 1099511628211
		}
	}
	return h
}

// read reads what is counted of the receiver.
func (r *receiver) read(c *Counts) (err error) {
	c.Finished, c.Busy = r.finished.Load(), time.Duration(r.last.Load())
	task := "/proc/self/task/" + strconv.Itoa(r.thread)
	var all [3]error
	c.Voluntary, all[0] = column(task+"/status", "voluntary_ctxt_switches:", 1)
	c.Involuntary, all[1] = column(task+"/status", "nonvoluntary_ctxt_switches:", 1)
	var ran uint64
	ran, all[2] = column(task+"/schedstat", "", 0) // nanoseconds on a processor
	c.Ran = time.Duration(ran)
	text, err := os.ReadFile(task + "/stat")
	if err != nil {
		return errors.Join(append(all[:], err)...)
	}
	_, behind, _ := strings.Cut(string(text), ") ")
	words := strings.Fields(behind)
	if len(words) < 12 {
		return errors.New("read the receiver's time: the kernel says too little")
	}
	ticks, err := strconv.Atoi(words[11]) // utime, the 14th of proc_pid_stat(5)
	c.User = time.Duration(ticks) * time.Second / hertz
	return errors.Join(append(all[:], err)...)
}

// hertz is the unit of times in /proc/PID/stat (USER_HZ).
const hertz = 100

// stop ends the receiver. Linux wakes it though it says that a socket without a peer cannot be shut down.
func (r *receiver) stop() error {
	r.stopped.Store(true)
	if err := unix.Shutdown(r.socket, unix.SHUT_RD); err != nil && !errors.Is(err, unix.ENOTCONN) {
		return fmt.Errorf("end receiver: %w", err)
	}
	err := <-r.ended
	r.close()
	return err
}

func (r *receiver) close() {
	for _, fd := range []int{r.socket, r.back} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}
