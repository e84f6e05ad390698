package rest

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"lbctl/control/safedir"
	"lbctl/lb"
)

// maxSocketPath is what fits in sockaddr_un.sun_path with its final zero, less the suffix
// that Listen adds for a moment.
const maxSocketPath = 107 - len(fresh)

const fresh = ".new"

// Listen opens a unix socket at path, with a mode. It replaces a socket file on which nobody listens any
// more. Beside it is a locked file, so that of several processes at once one gets the path. If somebody listens, or the
// file is not a socket, the error wraps lb.ErrConflict. Other errors: lb.ErrInvalid for a path that is too long;
// lb.ErrDenied, also where others can replace the socket. Closing the listener removes both files.
func Listen(path string, mode fs.FileMode) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("listen on %s: %w: a socket's path has at most %d bytes", path, lb.ErrInvalid, maxSocketPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make socket directory: %w", lb.Denied(err))
	}
	if err := safedir.Shared(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	lock, err := lockBeside(path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l, err := listenLocked(path, mode)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, lb.Denied(err)), unlock(lock))
	}
	return &socket{Listener: l, path: path, lock: lock}, nil
}

// lockBeside locks the file beside a socket. The kernel releases the lock when the process ends. Errors: lb.ErrConflict
// if another process has the lock, lb.ErrDenied.
func lockBeside(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, lb.Denied(err)
		}
		mine, err := f.Stat()
		if err == nil {
			err = safedir.File(f.Name(), mine)
		}
		if err == nil && unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
			err = fmt.Errorf("%w: a daemon is listening already", lb.ErrConflict)
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if now, err := os.Lstat(f.Name()); err == nil && os.SameFile(mine, now) {
			return f, nil
		}
		f.Close() // the one that had it has just removed it
	}
}

// unlock removes a locked file, and then lets go of it: until then nobody else can have the lock of a file of its name.
func unlock(f *os.File) error { return errors.Join(os.Remove(f.Name()), f.Close()) }

// listenLocked is Listen under the lock.
func listenLocked(path string, mode fs.FileMode) (net.Listener, error) {
	if err := vacant(path); err != nil {
		return nil, err
	}
	l, err := listenFresh(path+fresh, mode)
	if err != nil {
		return nil, err
	}
	// The rename puts the socket in place with its permissions set, and replaces the old one in one step.
	if err := os.Rename(path+fresh, path); err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(path+fresh))
	}
	return l, nil
}

// vacant returns an error unless path may be taken.
func vacant(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return lb.Denied(err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%w: the file is not a socket", lb.ErrConflict)
	}
	c, err := net.Dial("unix", path)
	switch {
	case err == nil:
		c.Close()
		return fmt.Errorf("%w: a daemon is listening already", lb.ErrConflict)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return lb.Denied(err)
}

func listenFresh(path string, mode fs.FileMode) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, mode); err != nil {
		l.Close()
		os.Remove(path)
		return nil, err
	}
	return l, nil
}

// socket removes its files when it is closed.
type socket struct {
	net.Listener
	path string
	lock *os.File
}

// Close stops listening and removes the files.
func (s *socket) Close() error {
	if err := s.Listener.Close(); err != nil {
		return err
	}
	err := os.Remove(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, unlock(s.lock))
}
