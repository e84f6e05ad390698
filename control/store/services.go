package store

import (
	"encoding/json"
	"errors"

	"go.etcd.io/bbolt"
	bolterr "go.etcd.io/bbolt/errors"

	"lbctl/control/intent"
	"lbctl/control/wire"
)

// known returns the bucket of the services, empty if it is not known what is in it.
func (s *Store) known(tx *bbolt.Tx) (*bbolt.Bucket, error) {
	if s.written == nil {
		if err := tx.DeleteBucket([]byte(services)); err != nil && !errors.Is(err, bolterr.ErrBucketNotFound) {
			return nil, err
		}
	}
	return tx.CreateBucketIfNotExists([]byte(services))
}

func (s *Store) writeServices(into *bbolt.Bucket, now map[string]intent.Service) error {
	for name, service := range now {
		if was, ok := s.written[name]; ok && was.Equal(service) {
			continue
		}
		text, err := json.Marshal(wire.Service(service))
		if err != nil {
			return err
		}
		if err := into.Put([]byte(name), text); err != nil {
			return err
		}
	}
	for name := range s.written {
		if _, stays := now[name]; !stays {
			if err := into.Delete([]byte(name)); err != nil {
				return err
			}
		}
	}
	return nil
}
