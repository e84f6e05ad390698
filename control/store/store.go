// Package store keeps the intent on disk, with a revision, in one bbolt file. Who
// has it open holds the file's lock: there is one daemon to a state directory.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterr "go.etcd.io/bbolt/errors"

	"lbctl/control/api"
	"lbctl/control/config"
	"lbctl/lb"
)

// lockTimeout is how long Open waits for the file's lock: long enough for a
// predecessor that is just closing.
const lockTimeout = 300 * time.Millisecond

// Names in the file.
const (
	fileName = "state.db"
	bucket   = "intent"
	key      = "current"
)

// Store is an open state directory. It is safe for concurrent use. The zero
// value is not usable: see Open.
type Store struct{ db *bbolt.DB }

// Record is an intent and its revision. Revision 0 is the state before the
// first Save.
type Record struct {
	Revision uint64
	Intent   config.Intent
}

// entry is a Record as it is written: JSON, with the number of its format.
type entry struct {
	Format   int        `json:"format"`
	Revision uint64     `json:"revision"`
	Config   api.Config `json:"config"`
}

// The formats: the one that is written, and the oldest that is read. In format 1 services
// remembered no flows and replicas had no state; a program that knows only that one would take
// a replica that drains for an active one.
const (
	format       = 2
	oldestFormat = 1
)

// Open opens the state in dir, which it makes if need be, 0700. Errors wrap
// lb.ErrConflict when another process has it open, lb.ErrDenied without permission,
// lb.ErrInvalid when the file is not a state.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", denied(err))
	}
	path := filepath.Join(dir, fileName)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout})
	switch {
	case errors.Is(err, bolterr.ErrTimeout):
		return nil, fmt.Errorf("open %s: %w: %s has it open", path, lb.ErrConflict, holder(path))
	case errors.Is(err, bolterr.ErrInvalid), errors.Is(err, bolterr.ErrChecksum), errors.Is(err, bolterr.ErrVersionMismatch):
		return nil, fmt.Errorf("open %s: %w state file: %w", path, lb.ErrInvalid, err)
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", path, denied(err))
	}
	return &Store{db: db}, nil
}

// denied makes an error of missing permission wrap lb.ErrDenied.
func denied(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %w", lb.ErrDenied, err)
	}
	return err
}

// Path returns the name of the file.
func (s *Store) Path() string { return s.db.Path() }

// Load returns the last record saved; the zero Revision with config.Default if
// there is none. The error wraps lb.ErrInvalid when what is there is not an intent.
func (s *Store) Load() (Record, error) {
	var text []byte
	err := s.db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket([]byte(bucket)); b != nil {
			text = append(text, b.Get([]byte(key))...)
		}
		return nil
	})
	if err != nil {
		return Record{}, fmt.Errorf("read %s: %w", s.Path(), err)
	}
	if text == nil {
		return Record{Intent: config.Default()}, nil
	}
	r, err := decode(text)
	if err != nil {
		return Record{}, fmt.Errorf("read %s: %w", s.Path(), err)
	}
	return r, nil
}

func decode(text []byte) (Record, error) {
	var e entry
	if err := json.Unmarshal(text, &e); err != nil {
		return Record{}, fmt.Errorf("%w state: %w", lb.ErrInvalid, err)
	}
	if e.Format < oldestFormat || e.Format > format {
		return Record{}, fmt.Errorf("%w state: format %d, this program knows %d to %d", lb.ErrInvalid, e.Format, oldestFormat, format)
	}
	intent, err := config.Resolve(e.Config, config.Default())
	return Record{Revision: e.Revision, Intent: intent}, err
}

// Save writes a record. When it returns nil, the record is on disk and outlives a
// crash of the machine; with an error, or when the process dies before that, Load finds the old
// record or the new one, whole.
func (s *Store) Save(r Record) error {
	text, err := json.Marshal(entry{Format: format, Revision: r.Revision, Config: r.Intent.Wire()})
	if err != nil {
		return fmt.Errorf("write %s: %w", s.Path(), err)
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		return b.Put([]byte(key), text)
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", s.Path(), err)
	}
	return nil
}

// Close lets the lock go.
func (s *Store) Close() error { return s.db.Close() }
