package netns

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// thread is an operating system thread of its own that runs what it is given, in
// order, until it is stopped. It exists because two things belong to a thread, not to
// a process: the network namespace, and the parent that Pdeathsig watches.
type thread struct {
	work chan func()
	done chan struct{}
}

func newThread() *thread {
	t := &thread{work: make(chan func()), done: make(chan struct{})}
	go t.loop()
	return t
}

func (t *thread) loop() {
	defer close(t.done)
	// Never unlocked: the thread ends with this goroutine.
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// Not on the main thread: /proc/self shows its namespace, and it cannot
		// end. While we hold it, another goroutine must get another thread.
		other := &thread{work: t.work, done: make(chan struct{})}
		go other.loop()
		<-other.done
		runtime.UnlockOSThread()
		return
	}
	for f := range t.work {
		f()
	}
}

// run runs f on the thread and waits for it.
func (t *thread) run(f func() error) error {
	result := make(chan error, 1)
	t.work <- func() { result <- f() }
	return <-result
}

// stop ends the thread, and so kills the children that it forked. No run may follow.
func (t *thread) stop() {
	close(t.work)
	<-t.done
}
