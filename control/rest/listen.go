package rest

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"lbctl/lb"
)

// maxSocketPath is what fits in sockaddr_un.sun_path with its final zero, less the suffix
// that Listen adds for a moment.
const maxSocketPath = 107 - len(fresh)

const fresh = ".new"

// Listen opens a unix socket at path, 0660. It takes the place of a socket that nobody
// listens on any more, never of one that somebody does nor of another file: then the error wraps
// lb.ErrConflict. Other errors: lb.ErrInvalid for a path that is too long, lb.ErrDenied.
// Closing the listener removes the file.
func Listen(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("listen on %s: %w: a socket's path has at most %d bytes", path, lb.ErrInvalid, maxSocketPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make socket directory: %w", denied(err))
	}
	if err := vacant(path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l, err := listenFresh(path + fresh)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, denied(err))
	}
	// Nobody can connect before the permissions are right, and at no time is there no socket.
	if err := os.Rename(path+fresh, path); err != nil {
		l.Close()
		os.Remove(path + fresh)
		return nil, fmt.Errorf("listen on %s: %w", path, denied(err))
	}
	return &socket{Listener: l, path: path}, nil
}

// vacant returns an error unless path may be taken.
func vacant(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return denied(err)
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
	return denied(err)
}

func listenFresh(path string) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		os.Remove(path)
		return nil, err
	}
	return l, nil
}

// socket removes its file when it is closed.
type socket struct {
	net.Listener
	path string
}

// Close stops listening and removes the file.
func (s *socket) Close() error {
	if err := s.Listener.Close(); err != nil {
		return err
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// denied makes an error of missing permission wrap lb.ErrDenied.
func denied(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %w", lb.ErrDenied, err)
	}
	return err
}
