package acceptqueues

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/testbed/measure"
)

// Drained is what it took to accept all connections that waited.
type Drained struct {
	Accepted int
	// CPU is the time of all threads, Took that from the start to the end of the last one.
	CPU, Took time.Duration
	// Threads is how many of them accepted something.
	Threads int
}

// share is a thread's part of it.
type share struct {
	conns []int
	cpu   time.Duration
	end   time.Time
}

// start lets threads begin at one moment: each says that it is there and spins.
type start struct {
	waiting atomic.Int64
	begun   atomic.Bool
}

// drain lets all workers accept what waits, and closes it afterwards.
func drain(workers []worker) (d Drained) {
	s := &start{}
	for i := range workers {
		workers[i].orders <- s
	}
	for s.waiting.Load() < int64(len(workers)) {
		runtime.Gosched()
	}
	began := time.Now()
	s.begun.Store(true)
	for i := range workers {
		part := <-workers[i].done
		d.Accepted += len(part.conns)
		d.CPU += part.cpu
		d.Took = max(d.Took, part.end.Sub(began))
		if len(part.conns) > 0 {
			d.Threads++
		}
		for _, conn := range part.conns {
			_ = unix.Close(conn)
		}
	}
	return d
}

// drainOften drains as often as it is told to, on a core of its own as far as there are enough.
func (w *worker) drainOften(number int) error {
	var set unix.CPUSet
	set.Set(number % runtime.NumCPU())
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	for s := range w.orders {
		part, err := w.drain(s)
		if err != nil {
			return err
		}
		w.done <- part
	}
	return nil
}

// drain accepts until no connection waits.
func (w *worker) drain(s *start) (part share, err error) {
	part.conns = make([]int, 0, backlog)
	s.waiting.Add(1)
	for !s.begun.Load() {
	}
	before, err := measure.ThreadTime()
	if err != nil {
		return part, err
	}
	for {
		conn, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(w.listener), 0, 0, unix.SOCK_CLOEXEC, 0, 0)
		if errno == unix.EINTR || errno == unix.ECONNABORTED {
			continue
		}
		if errno != 0 { // EAGAIN: nothing waits
			break
		}
		part.conns = append(part.conns, int(conn))
	}
	after, err := measure.ThreadTime()
	part.cpu, part.end = after-before, time.Now()
	return part, err
}
