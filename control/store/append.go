package store

import (
	"encoding/binary"
	"errors"
	"slices"

	"go.etcd.io/bbolt"
	bolterr "go.etcd.io/bbolt/errors"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/control/wire"
)

// append writes a revision after the latest one, and drops the one that is too old.
func (f file) append(latest, r Revision) error {
	if err := f.migrate(latest); err != nil {
		return err
	}
	u, err := f.writeIntent(latest.Intent, r.Intent)
	if err != nil {
		return err
	}
	bare := r.Intent
	bare.Services = nil
	h := head{Format: format, Revision: r.Number, Config: wire.Config(bare)}
	if err := put(f.tx.Bucket(intentBucket), headKey, h); err != nil {
		return err
	}
	all := f.tx.Bucket(revisions)
	if err := put(all, keyOf(r.Number), record{r.Actor, r.Reason, r.Time, u}); err != nil {
		return err
	}
	return prune(all, r.Number)
}

// migrate makes the file one of the present format with the latest revision, if it is not yet.
func (f file) migrate(latest Revision) error {
	h, _, err := f.head()
	if err != nil || h.Format == format {
		return err
	}
	for _, b := range [][]byte{intentBucket, serviceBucket, revisions} {
		if err := f.tx.DeleteBucket(b); err != nil && !errors.Is(err, bolterr.ErrBucketNotFound) {
			return err
		}
		if _, err := f.tx.CreateBucket(b); err != nil {
			return err
		}
	}
	if latest.Number == 0 {
		return nil
	}
	if _, err := f.writeIntent(intent.Intent{}, latest.Intent); err != nil {
		return err
	}
	return put(f.tx.Bucket(revisions), keyOf(latest.Number), record{Actor: latest.Actor, Reason: latest.Reason, Time: latest.Time})
}

// writeIntent writes what differs between two intents, less the head, and returns what undoes it.
func (f file) writeIntent(old, next intent.Intent) (undo, error) {
	var u undo
	if !old.Datapath.Equal(next.Datapath) || !slices.Equal(old.Interfaces, next.Interfaces) {
		bare := old
		bare.Services = nil
		c := wire.Config(bare)
		u.Config = &c
	}
	if before, after := order(old), order(next); !slices.Equal(before, after) {
		u.Order = &before
		if err := put(f.tx.Bucket(intentBucket), orderKey, after); err != nil {
			return u, err
		}
	}
	return u, f.writeServices(&u, old, next)
}

func order(i intent.Intent) []string {
	names := make([]string, 0, len(i.Services))
	for _, s := range i.Services {
		names = append(names, s.Name)
	}
	return names
}

func (f file) writeServices(u *undo, old, next intent.Intent) error {
	b := f.tx.Bucket(serviceBucket)
	had := make(map[string]intent.Service, len(old.Services))
	for _, s := range old.Services {
		had[s.Name] = s
	}
	u.Services = map[string]*api.Service{}
	for _, s := range next.Services {
		was, there := had[s.Name]
		delete(had, s.Name)
		if there && was.Equal(s) {
			continue
		}
		u.Services[s.Name] = nil
		if there {
			before := wire.Service(was)
			u.Services[s.Name] = &before
		}
		if err := put(b, []byte(s.Name), wire.Service(s)); err != nil {
			return err
		}
	}
	for name, was := range had {
		before := wire.Service(was)
		u.Services[name] = &before
		if err := b.Delete([]byte(name)); err != nil {
			return err
		}
	}
	return nil
}

// prune drops revisions before the last Kept.
func prune(b *bbolt.Bucket, latest uint64) error {
	c := b.Cursor()
	for key, _ := c.First(); key != nil && binary.BigEndian.Uint64(key)+Kept <= latest; key, _ = c.First() {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}
