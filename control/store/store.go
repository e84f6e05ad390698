// Package store keeps the intent on disk, with a revision, in one bbolt file: every service by
// itself, so that a change writes what it changes, and all of it in one transaction. Who
// has it open holds the file's lock: there is one daemon to a state directory.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterr "go.etcd.io/bbolt/errors"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/control/wire"
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
	services = "services"
)

// Store is an open state directory. It is safe for concurrent use. The zero
// value is not usable: see Open.
type Store struct {
	db *bbolt.DB
	mu sync.Mutex
	// written are the services that are on disk, by name; nil if that is not known.
	written map[string]intent.Service
}

// Record is an intent and its revision. Revision 0 is the state before the
// first Save.
type Record struct {
	Revision uint64
	Intent   intent.Intent
}

// entry is a Record as it is written: JSON, with the number of its format.
type entry struct {
	Format   int        `json:"format"`
	Revision uint64     `json:"revision"`
	Config   api.Config `json:"config"`
	// Services are the names of the services in order, which have entries of their own. Before format 3 they
	// were in Config.
	Services []string `json:"services,omitempty"`
}

// The formats: the one that is written, and the oldest that is read. In format 1 services
// remembered no flows and replicas had no state; a program that knows only that one would take
// a replica that drains for an active one.
const (
	format       = 3
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

// Load returns the last record saved; the zero Revision with intent.Default if
// there is none. The error wraps lb.ErrInvalid when what is there is not an intent.
func (s *Store) Load() (Record, error) {
	r := Record{Intent: intent.Default()}
	err := s.db.View(func(tx *bbolt.Tx) (err error) {
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return nil
		}
		if text := b.Get([]byte(key)); text != nil {
			r, err = decode(text, tx.Bucket([]byte(services)))
		}
		return err
	})
	if err != nil {
		return Record{}, fmt.Errorf("read %s: %w", s.Path(), err)
	}
	return r, nil
}

// decode reads a record, and its services from a bucket, which is nil if there is none.
func decode(text []byte, from *bbolt.Bucket) (Record, error) {
	var e entry
	if err := json.Unmarshal(text, &e); err != nil {
		return Record{}, fmt.Errorf("%w state: %w", lb.ErrInvalid, err)
	}
	if e.Format < oldestFormat || e.Format > format {
		return Record{}, fmt.Errorf("%w state: format %d, this program knows %d to %d", lb.ErrInvalid, e.Format, oldestFormat, format)
	}
	for _, name := range e.Services {
		var text []byte
		if from != nil {
			text = from.Get([]byte(name))
		}
		var service api.Service
		if err := json.Unmarshal(text, &service); err != nil {
			return Record{}, fmt.Errorf("%w state: service %s: %w", lb.ErrInvalid, name, err)
		}
		e.Config.Services = append(e.Config.Services, service)
	}
	intent, err := wire.Resolve(e.Config, intent.Default())
	return Record{Revision: e.Revision, Intent: intent}, err
}

// Save writes a record. When it returns nil, the record is on disk and outlives a
// crash of the machine; with an error, or when the process dies before that, Load finds the old
// record or the new one, whole.
func (s *Store) Save(r Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	bare := r.Intent
	bare.Services = nil
	e := entry{Format: format, Revision: r.Revision, Config: wire.Config(bare)}
	for _, service := range r.Intent.Services {
		e.Services = append(e.Services, service.Name)
	}
	written, err := s.write(e, r.Intent.Services)
	if err != nil {
		return fmt.Errorf("write %s: %w", s.Path(), err)
	}
	s.written = written
	return nil
}

// write writes a record and those of its services that are not on disk, and returns what is there then.
func (s *Store) write(e entry, all []intent.Service) (map[string]intent.Service, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	now := make(map[string]intent.Service, len(all))
	err = s.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		if err := b.Put([]byte(key), text); err != nil {
			return err
		}
		into, err := s.known(tx)
		if err != nil {
			return err
		}
		for _, service := range all {
			now[service.Name] = service
		}
		return s.writeServices(into, now)
	})
	return now, err
}

// Close lets the lock go.
func (s *Store) Close() error { return s.db.Close() }
