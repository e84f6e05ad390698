package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"lbctl/lb"
)

// fileName is the file in the state directory.
const fileName = "state.db"

// Journal is a store in a file, to which every change is appended: see header. It is read and written by
// ordinary calls, nothing is mapped, and every byte that it believes is under a checksum.
// The zero value is not usable: see Open.
type Journal struct {
	dir, path string
	disk      disk
	lock      *os.File

	mu     sync.Mutex
	closed bool
	latest Revision
	// entries are those of the revisions in the file, the oldest first.
	entries []Entry
	// place is the file that was opened or made last, nil if there is none yet.
	place fs.FileInfo
	// file is that file in the present format, nil before the first revision, and head its header
	// as it was acknowledged last.
	file handle
	head header
	// unsure: the header in the file may be that of a revision that was refused.
	unsure bool
	// unnamed: the file's name in the directory may not outlive a crash of the machine.
	unnamed bool
}

var _ Store = (*Journal)(nil)

// Path returns the name of the file.
func (j *Journal) Path() string { return j.path }

// Close implements Store. A second call does nothing.
func (j *Journal) Close() (err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	if j.file != nil {
		err = j.file.Close()
	}
	return errors.Join(err, j.lock.Close())
}

// Latest implements Store.
func (j *Journal) Latest(context.Context) (Revision, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.latest, nil
}

// History implements Store.
func (j *Journal) History(_ context.Context, limit int) (all []Entry, _ error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for n := len(j.entries) - 1; n >= 0 && (limit == 0 || len(all) < limit); n-- {
		all = append(all, j.entries[n])
	}
	return all, nil
}

// Revision implements Store.
func (j *Journal) Revision(_ context.Context, number uint64) (Revision, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case number == 0 || len(j.entries) == 0 || number < j.entries[0].Number || number > j.latest.Number:
		return Revision{}, fmt.Errorf("revision %d: %w", number, lb.ErrNotFound)
	case number == j.latest.Number:
		return j.latest, nil
	}
	if err := j.intact(); err != nil {
		return Revision{}, j.explain("read", err)
	}
	lines, err := records(j.file, j.head)
	if err != nil {
		return Revision{}, j.explain("read", err)
	}
	c, _, err := replay(lines[:number-j.entries[0].Number+1])
	if err != nil {
		return Revision{}, j.explain("read", err)
	}
	r, err := c.revision()
	if err != nil {
		return Revision{}, j.explain("read", err)
	}
	return r, nil
}

// Append implements Store.
func (j *Journal) Append(_ context.Context, after uint64, all ...Revision) (uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.latest.Number != after {
		return 0, fmt.Errorf("append after revision %d: %w: the latest is %d", after, lb.ErrConflict, j.latest.Number)
	}
	if len(all) == 0 {
		return after, nil
	}
	all = slices.Clone(all)
	for n := range all {
		all[n].Number = after + uint64(n) + 1
	}
	if err := j.append(all); err != nil {
		return 0, j.explain("write", err)
	}
	for _, r := range all {
		j.latest, j.entries = r, append(j.entries, r.Entry)
	}
	return j.latest.Number, nil
}

func (j *Journal) append(all []Revision) error {
	if j.closed {
		return fs.ErrClosed
	}
	if err := j.restore(); err != nil {
		return err
	}
	if err := j.intact(); err != nil {
		return err
	}
	old := &j.latest.Intent
	if j.latest.Number == 0 {
		old = nil
	}
	var lines []byte
	for n, r := range all {
		line, err := recordOf(old, r).line()
		if err != nil {
			return err
		}
		lines, old = append(lines, line...), &all[n].Intent
	}
	if j.file == nil || j.head.end+int64(len(lines)) > j.head.size {
		if err := j.rewrite(len(lines)); err != nil {
			return err
		}
	}
	return j.commit(all[len(all)-1].Number, lines)
}

// commit writes records behind the others, and then the header that counts them. Until that is written their
// revisions do not exist; if it may have been written and the commit fails, the header before it is put back.
func (j *Journal) commit(revision uint64, lines []byte) error {
	if err := j.write(lines, j.head.end); err != nil {
		return err
	}
	next := j.head.with(revision, lines)
	j.unsure = true
	err := j.write(next.encode(), 0)
	if err == nil {
		err = j.inPlace() // the next start will read this file
	}
	if err != nil {
		return errors.Join(err, j.restore())
	}
	j.head, j.unsure = next, false
	return nil
}

// restore makes the file that of the revision that was acknowledged last, and its name durable. While it cannot,
// nothing is appended.
func (j *Journal) restore() error {
	if j.unsure {
		if err := j.write(j.head.encode(), 0); err != nil {
			return fmt.Errorf("take back the revision that was refused: %w", err)
		}
		j.unsure = false
	}
	if j.unnamed {
		if err := syncDir(j.disk, j.dir); err != nil {
			return err
		}
		j.unnamed = false
	}
	return nil
}

// write writes and waits until the disk has it.
func (j *Journal) write(text []byte, at int64) error {
	if _, err := j.file.WriteAt(text, at); err != nil {
		return err
	}
	return j.file.Sync()
}

// intact returns an error unless the file is the one that the next start will read, and what was acknowledged is in it.
func (j *Journal) intact() error {
	if err := j.inPlace(); err != nil || j.file == nil {
		return err
	}
	switch h, err := verify(j.file); {
	case err != nil:
		return err
	case h != j.head:
		return fmt.Errorf("%w: somebody else has written to it", errDamaged)
	}
	return nil
}

// inPlace returns an error unless the file's name still leads to it.
func (j *Journal) inPlace() error {
	now, err := os.Lstat(j.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && j.place == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: the file was removed", errLost)
	case err != nil:
		return err
	case j.place == nil || !os.SameFile(now, j.place):
		return fmt.Errorf("%w: another file was put in its place", errLost)
	}
	return nil
}

// minSize is that of a new file, in bytes: room for some hundred revisions.
const minSize = 64 << 10

// rewrite puts a new file in the place of the present one, with room for a record: the same revisions, less
// those before the last Kept.
func (j *Journal) rewrite(room int) error {
	text, dropped, err := j.kept()
	if err != nil {
		return err
	}
	h := header{revision: j.latest.Number, end: headerSize}.with(j.latest.Number, text)
	h.size = (max(minSize, 2*(h.end+int64(room))) + 4095) &^ 4095
	file := make([]byte, h.size)
	copy(file, h.encode())
	copy(file[headerSize:], text)
	next := j.path + "_next"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := j.disk.Open(next, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	place, err := fill(f, file)
	if err == nil {
		err = j.disk.Rename(next, j.path)
	}
	if now, failed := os.Lstat(j.path); err != nil && place != nil && failed == nil && os.SameFile(now, place) {
		err = nil // it was renamed, whatever the disk says
	}
	if err != nil {
		_ = os.Remove(next) // the next rewrite does it again
		return errors.Join(err, f.Close())
	}
	if j.file != nil {
		_ = j.file.Close() // it was only read
	}
	j.file, j.head, j.place, j.entries, j.unnamed = f, h, place, j.entries[dropped:], true
	return j.restore()
}

// fill writes a new file.
func fill(f handle, text []byte) (fs.FileInfo, error) {
	if _, err := f.WriteAt(text, 0); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return f.Stat()
}

// kept returns the records of the last Kept revisions, and how many are dropped.
func (j *Journal) kept() (text []byte, dropped int, err error) {
	if j.file == nil {
		if j.latest.Number == 0 {
			return nil, 0, nil
		}
		text, err = recordOf(nil, j.latest).line()
		return text, 0, err
	}
	lines, err := records(j.file, j.head)
	if err != nil {
		return nil, 0, err
	}
	dropped = max(0, len(lines)-Kept)
	c, _, err := replay(lines[:dropped+1])
	if err != nil {
		return nil, 0, err
	}
	if text, err = c.whole().line(); err != nil {
		return nil, 0, err
	}
	for _, line := range lines[dropped+1:] {
		text = append(append(text, line...), '\n')
	}
	return text, dropped, nil
}
