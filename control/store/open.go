package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/control/intent"
	"lbctl/control/safedir"
	"lbctl/lb"
)

// errDamaged: what the file holds is not what was written. errLost: the name of the file does not lead to it.
var (
	errDamaged = errors.New("damaged")
	errLost    = errors.New("changed under the daemon")
)

// Open opens the state in dir, which it makes if need be, 0700. Errors wrap lb.ErrConflict when another process
// has it open or the file is damaged, lb.ErrDenied without permission or where others can write.
func Open(dir string) (*Journal, error) { return open(dir, realDisk{}) }

func open(dir string, d disk) (_ *Journal, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find state directory: %w", err)
	}
	if err := makeDir(d, dir); err != nil {
		if err = lb.Denied(err); errors.Is(err, lb.ErrDenied) {
			return nil, fmt.Errorf("make state directory: %w", err) // the caller says what a daemon needs
		}
		return nil, (&Journal{dir: dir, path: dir}).explain("make state directory", err)
	}
	if err := safedir.Private(dir); err != nil {
		return nil, fmt.Errorf("open state directory: %w", err)
	}
	j := &Journal{dir: dir, path: filepath.Join(dir, fileName), disk: d, latest: Revision{Intent: intent.Default()}}
	if j.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if err := j.load(); err != nil {
		return nil, errors.Join(j.explain("open", err), j.Close())
	}
	return j, nil
}

// Read returns the latest revision in dir, and changes nothing there; number 0 if there is none. Errors: fs.ErrNotExist, and
// those of Open: of a daemon that has it open lb.ErrConflict.
func Read(dir string) (Revision, error) {
	if _, err := os.Stat(dir); err != nil {
		return Revision{}, fmt.Errorf("open state directory: %w", lb.Denied(err))
	}
	j, err := open(dir, readOnly{})
	if err != nil {
		return Revision{}, err
	}
	return j.latest, j.Close()
}

// load reads the file, if there is one. A file of an earlier version stays as it is until the next revision.
func (j *Journal) load() error {
	f, err := j.disk.Open(j.path, os.O_RDWR)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, unix.ELOOP):
		return fmt.Errorf("%w: it is a symbolic link", lb.ErrDenied)
	case err != nil:
		return err
	}
	if j.place, err = f.Stat(); err == nil {
		err = safedir.File(j.path, j.place)
	}
	if err == nil {
		err = j.read(f)
	}
	if j.file == nil { // it is not one to append to
		err = errors.Join(err, f.Close())
	}
	return err
}

// read reads a file, and keeps it if it is in the present format.
func (j *Journal) read(f handle) (err error) {
	if isBolt(f) {
		return j.loadBolt(f)
	}
	if j.head, err = verify(f); err != nil {
		return err
	}
	j.file = f
	lines, err := records(f, j.head)
	if err != nil {
		return err
	}
	if len(lines) == 1 && len(lines[0]) == 0 {
		return nil // made, and stopped before the first revision
	}
	c, entries, err := replay(lines)
	if err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	j.entries = entries
	j.latest, err = c.revision()
	if err == nil && j.latest.Number != j.head.revision {
		err = fmt.Errorf("%w: the last revision is %d where the header says %d", errDamaged, j.latest.Number, j.head.revision)
	}
	return err
}

// replay returns what records make together.
func replay(lines [][]byte) (*content, []Entry, error) {
	c, entries := &content{}, make([]Entry, 0, len(lines))
	for _, line := range lines {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, nil, fmt.Errorf("after revision %d: %w", c.Number, err)
		}
		if err := c.apply(r); err != nil {
			return nil, nil, err
		}
		entries = append(entries, r.entry())
	}
	return c, entries, nil
}

// fileError says what is wrong with the state file, and what to do.
type fileError struct {
	verb, path string
	err        error
	hint       string
}

func (e *fileError) Error() string { return fmt.Sprintf("%s %s: %v", e.verb, e.path, e.err) }
func (e *fileError) Hint() string  { return e.hint }
func (e *fileError) Unwrap() error { return e.err }

// explain makes an error about the file one that an operator can act on.
func (j *Journal) explain(verb string, err error) error {
	e := &fileError{verb, j.path, err, "see the disk's health: dmesg; what was stored before is kept"}
	opening := verb == "open"
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		e.err, e.hint = fmt.Errorf("%w: %w", lb.ErrFull, err), "free space on the file system of "+j.dir
	case errors.Is(err, unix.EROFS):
		e.hint = "mount the file system of " + j.dir + " so that it can be written: mount -o remount,rw; if the kernel has made it read-only, dmesg says why"
	case errors.Is(err, errLost):
		e.hint = "put the file back; or start lbctl serve again, which goes on with what it finds there or, without a file, with what is forwarded"
	case opening && errors.Is(lb.Denied(err), lb.ErrDenied):
		e.err, e.hint = lb.Denied(err), "let root alone own and write the file: chown root, chmod 600; a link is refused"
	case opening && errors.Is(err, lb.ErrConflict):
		e.hint = "stop the other daemon, or use another --state-dir"
	case opening && !errors.As(err, new(unix.Errno)):
		e.err = fmt.Errorf("%w: %w", lb.ErrConflict, err)
		e.hint = "restore the file from a backup; or move it away and start lbctl serve, which goes on with what is forwarded, or lbctl serve -f FILE"
	}
	return e
}

// lockTimeout is how long Open waits for the lock: long enough for a predecessor that is just closing.
const lockTimeout = 300 * time.Millisecond

// lockDir takes the lock of a state directory. The kernel releases it when the process ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open state directory: %w", lb.Denied(err))
	}
	for begin := time.Now(); ; time.Sleep(lockTimeout / 20) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Since(begin) > lockTimeout {
			return nil, errors.Join(fmt.Errorf("lock %s: %w: %s has it open", dir, lb.ErrConflict, holder(dir)), f.Close())
		}
	}
}

// holder names the process that has the lock of a file, "another process" when it
// cannot be told: it may live in another pid namespace.
func holder(path string) string {
	const unknown = "another process"
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return unknown
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return unknown
	}
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	if pid := lockPid(string(locks), file); pid != "" {
		return "process " + pid
	}
	return unknown
}

// lockPid finds the holder of a file in the text of /proc/locks, whose lines read
// "1: FLOCK  ADVISORY  WRITE 4711 00:2a:123456 0 EOF" (proc(5)); a waiter's line has "->" second.
func lockPid(locks, file string) string {
	for line := range strings.Lines(locks) {
		f := strings.Fields(line)
		if len(f) >= 6 && f[1] == "FLOCK" && f[5] == file && f[4] != "0" && f[4] != "-1" {
			return f[4]
		}
	}
	return ""
}
