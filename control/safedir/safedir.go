// Package safedir says whether a directory, or a file in it, can be trusted: whether nobody but root and the user of
// this process can write there or put something else in its place.
package safedir

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"lbctl/lb"
)

// Private returns an error unless a directory is one, not a symbolic link, and only root and this user can write to
// it. Errors: a *Error, which wraps lb.ErrDenied; those of lstat(2).
func Private(dir string) error {
	dir = filepath.Clean(dir)
	info, err := os.Lstat(dir)
	if err != nil {
		return lb.Denied(err)
	}
	if !info.IsDir() {
		return &Error{dir, "it is a link or a file, not a directory", "name the directory itself"}
	}
	if err := owned(dir, info); err != nil {
		return err
	}
	return Replaceable(dir)
}

// Shared returns an error if others can replace what this user has made in a directory. They may make files there if it
// has the sticky bit, as /tmp has. Errors: a *Error, which wraps lb.ErrDenied; those of stat(2).
func Shared(dir string) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return lb.Denied(err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return lb.Denied(err)
	}
	if info.Mode()&fs.ModeSticky == 0 || !ours(info) {
		if err := owned(dir, info); err != nil {
			return err
		}
	}
	return Replaceable(dir)
}

// File returns an error unless a file is an ordinary one, and only root and this user can write to it.
// Errors: a *Error, which wraps lb.ErrDenied.
func File(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return &Error{path, "it is not an ordinary file", "move it away"}
	}
	return owned(path, info)
}

// owned returns an error if others own a file, or may write to it.
func owned(path string, info fs.FileInfo) error {
	if !ours(info) {
		return &Error{path, "it belongs to another user", "chown root " + path + ", or use another"}
	}
	if info.Mode().Perm()&0o022 != 0 {
		return &Error{path, fmt.Sprintf("others can write to it (mode %04o)", info.Mode().Perm()), "chmod go-w " + path + ", or use another"}
	}
	return nil
}

// ours tells whether root or this user owns a file.
func ours(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && (s.Uid == 0 || int(s.Uid) == os.Geteuid())
}

// Replaceable returns an error if everybody can put something else in the place of path: if a directory above it is
// open to all without the sticky bit. Errors: a *Error, which wraps lb.ErrDenied; those of lstat(2).
func Replaceable(path string) error {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return lb.Denied(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Lstat(dir)
		if err != nil {
			return lb.Denied(err)
		}
		if info.Mode()&fs.ModeSticky == 0 && info.Mode().Perm()&0o002 != 0 {
			return &Error{dir, fmt.Sprintf("everybody can replace what is in it (mode %04o)", info.Mode().Perm()), "chmod o-w " + dir + ", or use another"}
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// Error is a directory or file that others can change. It wraps lb.ErrDenied.
type Error struct{ path, why, cure string }

func (e *Error) Error() string { return fmt.Sprintf("%s: %v: %s", e.path, lb.ErrDenied, e.why) }

// Hint says what to do.
func (e *Error) Hint() string { return e.cure }

// Unwrap returns lb.ErrDenied.
func (e *Error) Unwrap() error { return lb.ErrDenied }
