package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterr "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"lbctl/control/intent"
	"lbctl/lb"
)

// lockTimeout is how long Open waits for the file's lock: long enough for a
// predecessor that is just closing.
const lockTimeout = 300 * time.Millisecond

// fileName is the file in the state directory.
const fileName = "state.db"

// Bolt is a store in a bbolt file. The latest revision is stored whole, every service in an entry of its
// own; each revision before it as what the next one changed. So a change of one service among many
// writes one service, in one transaction, and an old revision is dropped without touching others.
// The zero value is not usable: see Open.
type Bolt struct {
	db *bbolt.DB
	mu sync.Mutex
	// latest is what the file has; nil if that is not known.
	latest *Revision
}

var _ Store = (*Bolt)(nil)

// Open opens the state in dir, which it makes if need be, 0700. Errors wrap
// lb.ErrConflict when another process has it open, lb.ErrDenied without permission,
// lb.ErrInvalid when the file is not a state.
func Open(dir string) (*Bolt, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", lb.Denied(err))
	}
	path := filepath.Join(dir, fileName)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout})
	var system unix.Errno
	switch {
	case errors.Is(err, bolterr.ErrTimeout):
		return nil, fmt.Errorf("open %s: %w: %s has it open", path, lb.ErrConflict, holder(path))
	case errors.As(err, &system):
		return nil, fmt.Errorf("open %s: %w", path, lb.Denied(err))
	case err != nil: // bbolt's own, some without a type: a file that is cut short
		return nil, fmt.Errorf("open %s: %w state file: %w", path, lb.ErrInvalid, err)
	}
	return &Bolt{db: db}, nil
}

// Path returns the name of the file.
func (b *Bolt) Path() string { return b.db.Path() }

// Close implements Store.
func (b *Bolt) Close() error { return b.db.Close() }

// Latest implements Store.
func (b *Bolt) Latest(context.Context) (Revision, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.load()
}

// load returns the latest revision, from the file if it is not known. The caller holds mu.
func (b *Bolt) load() (Revision, error) {
	if b.latest != nil {
		return *b.latest, nil
	}
	r := Revision{Intent: intent.Default()}
	err := b.view(func(f file) error {
		head, ok, err := f.head()
		if err != nil || !ok {
			return err
		}
		r, err = f.revision(head.Revision)
		return err
	})
	if err != nil {
		return Revision{}, err
	}
	b.latest = &r
	return r, nil
}

// Revision implements Store.
func (b *Bolt) Revision(_ context.Context, number uint64) (r Revision, err error) {
	err = b.view(func(f file) error {
		r, err = f.revision(number)
		return err
	})
	return r, err
}

// History implements Store.
func (b *Bolt) History(_ context.Context, limit int) (all []Entry, err error) {
	err = b.view(func(f file) error {
		all, err = f.history(limit)
		return err
	})
	return all, err
}

// view reads the file.
func (b *Bolt) view(read func(file) error) error {
	if err := b.db.View(func(tx *bbolt.Tx) error { return read(file{tx}) }); err != nil {
		return fmt.Errorf("read %s: %w", b.Path(), err)
	}
	return nil
}

// Append implements Store.
func (b *Bolt) Append(_ context.Context, after uint64, r Revision) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	latest, err := b.load()
	if err != nil {
		return 0, err
	}
	if latest.Number != after {
		return 0, stale(after, latest.Number)
	}
	r.Number = after + 1
	b.latest = nil // what a failed commit leaves is read again
	if err := b.db.Update(func(tx *bbolt.Tx) error { return file{tx}.append(latest, r) }); err != nil {
		return 0, fmt.Errorf("write %s: %w", b.Path(), err)
	}
	b.latest = &r
	return r.Number, nil
}

func stale(after, latest uint64) error {
	return fmt.Errorf("append after revision %d: %w: the latest is %d", after, lb.ErrConflict, latest)
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

// keyOf is the key of a revision: bbolt sorts by bytes.
func keyOf(number uint64) []byte { return binary.BigEndian.AppendUint64(nil, number) }

func put(b *bbolt.Bucket, key []byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Put(key, text)
}
