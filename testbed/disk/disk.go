// Package disk is a slow disk: a file system (FUSE) of which each read takes as long as the file's name says. A
// process that reads from it sleeps in read(2) as it would on a disk. The page cache is not used: every read is one.
//
// The file system is mounted in no directory. Processes open its files through the descriptor of the process that
// serves it (Path), and it is gone with that process, however that ends.
package disk

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/lb"
)

// Stuck is the name of the file of which reads wait until Release.
const Stuck = "stuck"

// File is the name of the file of which a read takes a time.
func File(takes time.Duration) string { return takes.String() }

// Read reads a file of a disk, by its path, and blocks as long as that takes. It makes system calls alone: a thread of an event loop
// blocks in it as one of a program in C does.
func Read(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open file of disk: %w", err)
	}
	defer unix.Close(fd)
	var page [FileSize]byte
	for {
		if _, err = unix.Pread(fd, page[:], 0); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("read file of disk: %w", err)
	}
	return nil
}

// FileSize is the size in bytes of every file: a read returns as much as is asked for, up to it.
const FileSize = 4096

// Disk is a slow disk. Safe for concurrent use, but for Close.
type Disk struct {
	// device is the connection to the kernel, root the file system's root.
	device *os.File
	root   *os.File
	reader sync.WaitGroup
	reads  sync.WaitGroup

	mu sync.Mutex
	// nodes are the files that were looked up: node i+2 is called nodes[i].
	nodes []string
	// pending are the reads that wait, by number: closed, the channel ends the wait.
	pending map[uint64]chan struct{}
	stuck   int
	changed *sync.Cond // of stuck

	releaseOnce sync.Once
	released    chan struct{}
	closed      chan struct{}
}

// New makes a disk. It needs root and /dev/fuse; where that is not there, the error wraps lb.ErrNotFound.
func New() (*Disk, error) {
	d := &Disk{pending: map[uint64]chan struct{}{}, released: make(chan struct{}), closed: make(chan struct{})}
	d.changed = sync.NewCond(&d.mu)
	if err := d.mount(); err != nil {
		return nil, fmt.Errorf("make slow disk: %w", err)
	}
	d.reader.Go(d.serve)
	return d, nil
}

// mount opens a connection and mounts the file system without a directory (fsmount(2)).
func (d *Disk) mount() error {
	device, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("%w: there is no /dev/fuse here: load the kernel's module with modprobe fuse", lb.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("open /dev/fuse: %w", err)
	}
	if d.root, err = mountOn(device); err != nil {
		_ = unix.Close(device)
		return err
	}
	d.device = os.NewFile(uintptr(device), "/dev/fuse") // not earlier: only a mounted one can be waited for
	return nil
}

// mountOn mounts the file system that a connection serves, and returns its root.
func mountOn(device int) (*os.File, error) {
	fsys, err := unix.Fsopen("fuse", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open file system: %w", err)
	}
	defer unix.Close(fsys)
	for key, value := range map[string]string{"fd": fmt.Sprint(device), "rootmode": "40000", "user_id": "0", "group_id": "0"} {
		if err := unix.FsconfigSetString(fsys, key, value); err != nil {
			return nil, fmt.Errorf("set %s of file system: %w", key, err)
		}
	}
	if err := unix.FsconfigCreate(fsys); err != nil {
		return nil, fmt.Errorf("create file system: %w", err)
	}
	root, err := unix.Fsmount(fsys, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("mount file system: %w", err)
	}
	return os.NewFile(uintptr(root), "disk"), nil
}

// Path returns the path by which other processes of root open a file: File(20*time.Millisecond), Stuck. The process
// that made the disk must not open it: it would wait for itself.
func (d *Disk) Path(file string) string {
	return fmt.Sprintf("/proc/%d/fd/%d/%s", os.Getpid(), d.root.Fd(), file)
}

// AwaitStuck waits until a number of reads of Stuck wait, or the disk is closed.
func (d *Disk) AwaitStuck(reads int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.stuck < reads && !isClosed(d.closed) {
		d.changed.Wait()
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Waiting is how many reads wait now.
func (d *Disk) Waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.pending)
}

// Release answers the reads of Stuck, those to come too.
func (d *Disk) Release() { d.releaseOnce.Do(func() { close(d.released) }) }

// Close ends the file system. Reads that wait fail.
func (d *Disk) Close() error {
	d.mu.Lock()
	close(d.closed)
	d.changed.Broadcast()
	d.mu.Unlock()
	err := d.root.Close()
	// The kernel ends the connection with its last descriptor, and fails what is waiting.
	err = errors.Join(err, d.device.Close())
	d.reader.Wait()
	d.reads.Wait()
	return err
}
