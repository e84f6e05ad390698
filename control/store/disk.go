package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// disk is all that a store does to files. Tests have every call of it fail.
type disk interface {
	// Open opens a file or a directory, and follows no link in its last place. Files are made 0600.
	Open(path string, flags int) (handle, error)
	Rename(from, to string) error
}

// handle is an open file.
type handle interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Stat() (fs.FileInfo, error)
	Sync() error
}

// realDisk is the machine's.
type realDisk struct{}

func (realDisk) Open(path string, flags int) (handle, error) {
	f, err := os.OpenFile(path, flags|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err // not a nil *os.File in an interface
	}
	return f, nil
}

func (realDisk) Rename(from, to string) error { return os.Rename(from, to) }

// readOnly is the machine's disk, of which nothing is changed.
type readOnly struct{}

func (readOnly) Open(path string, flags int) (handle, error) {
	return realDisk{}.Open(path, flags&^(os.O_RDWR|os.O_WRONLY|os.O_CREATE|os.O_TRUNC))
}

func (readOnly) Rename(from, to string) error {
	return &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrPermission}
}

// syncDir makes the names in a directory outlive a crash of the machine.
func syncDir(d disk, dir string) error {
	f, err := d.Open(dir, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// makeDir makes a directory and those above it, 0700, and their names durable.
func makeDir(d disk, dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDir(d, filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return err
	}
	return syncDir(d, filepath.Dir(dir))
}
