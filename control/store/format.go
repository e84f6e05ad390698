package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"go.etcd.io/bbolt"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
)

// The buckets of the file, and their keys.
var (
	intentBucket  = []byte("intent")    // headKey and orderKey, of the latest revision
	serviceBucket = []byte("services")  // its services by name
	revisions     = []byte("revisions") // every revision that is kept, by number
	headKey       = []byte("current")
	orderKey      = []byte("order")
)

// The formats: the one that is written, and the oldest that is read. In format 1 services
// recorded no flows and replicas had no state; format 2 still had the services in the head; format 3
// had their names there and no revisions before the latest.
const (
	format       = 4
	oldestFormat = 1
)

// head is the latest revision, less its services.
type head struct {
	Format   int        `json:"format"`
	Revision uint64     `json:"revision"`
	Config   api.Config `json:"config"`
	// Services are the names of the services in order, in format 3.
	Services []string `json:"services,omitempty"`
}

// record is a revision as it is written: its entry, and what undoes it.
type record struct {
	Actor  string    `json:"actor,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Time   time.Time `json:"time,omitzero"`
	Undo   undo      `json:"undo"`
}

// undo is what a revision changed, as it was before.
type undo struct {
	// Config is the datapath and the interfaces, nil where they stayed.
	Config *api.Config `json:"config,omitempty"`
	// Order is the names of the services, nil where they stayed.
	Order *[]string `json:"order,omitempty"`
	// Services are those that were changed or removed, and null for those that were added.
	Services map[string]*api.Service `json:"services,omitempty"`
}

// content is what an intent is stored as.
type content struct {
	config   api.Config
	order    []string
	services map[string]*api.Service
}

func (c *content) apply(u undo) {
	if u.Config != nil {
		c.config = *u.Config
	}
	if u.Order != nil {
		c.order = *u.Order
	}
	maps.Copy(c.services, u.Services)
}

// intent resolves the content. The error wraps lb.ErrInvalid.
func (c *content) intent() (intent.Intent, error) {
	for _, name := range c.order {
		s := c.services[name]
		if s == nil {
			return intent.Intent{}, fmt.Errorf("%w state: service %s is missing", lb.ErrInvalid, name)
		}
		c.config.Services = append(c.config.Services, *s)
	}
	if c.config.Services == nil {
		c.config.Services = []api.Service{}
	}
	return wire.Resolve(c.config, intent.Default())
}

// file is the file in a transaction.
type file struct{ tx *bbolt.Tx }

// get reads a value, and tells whether there is one. The error wraps lb.ErrInvalid.
func (f file) get(bucket, key []byte, v any) (bool, error) {
	b := f.tx.Bucket(bucket)
	if b == nil {
		return false, nil
	}
	text := b.Get(key)
	if text == nil {
		return false, nil
	}
	if err := json.Unmarshal(text, v); err != nil {
		return false, fmt.Errorf("%w state: %s %s: %w", lb.ErrInvalid, bucket, key, err)
	}
	return true, nil
}

func (f file) head() (h head, ok bool, err error) {
	ok, err = f.get(intentBucket, headKey, &h)
	if ok && (h.Format < oldestFormat || h.Format > format) {
		err = fmt.Errorf("%w state: format %d, this program knows %d to %d", lb.ErrInvalid, h.Format, oldestFormat, format)
	}
	return h, ok, err
}

// latest returns the content of the latest revision.
func (f file) latest(h head) (*content, error) {
	c := &content{config: h.Config, order: h.Services, services: map[string]*api.Service{}}
	if _, err := f.get(intentBucket, orderKey, &c.order); err != nil {
		return nil, err
	}
	for _, name := range c.order {
		var s api.Service
		ok, err := f.get(serviceBucket, []byte(name), &s)
		if err != nil {
			return nil, err
		}
		if ok {
			c.services[name] = &s
		}
	}
	return c, nil
}

// revision returns a revision that is kept. Errors: lb.ErrNotFound, lb.ErrInvalid.
func (f file) revision(number uint64) (Revision, error) {
	h, _, err := f.head()
	if err != nil {
		return Revision{}, err
	}
	entry, kept, err := f.record(number)
	if err != nil {
		return Revision{}, err
	}
	if number == 0 || number > h.Revision || !kept && number != h.Revision {
		return Revision{}, fmt.Errorf("revision %d: %w", number, lb.ErrNotFound)
	}
	c, err := f.latest(h)
	if err != nil {
		return Revision{}, err
	}
	for n := h.Revision; n > number; n-- {
		later, _, err := f.record(n)
		if err != nil {
			return Revision{}, err
		}
		c.apply(later.Undo)
	}
	i, err := c.intent()
	return Revision{Entry: entry.entry(number), Intent: i}, err
}

func (f file) record(number uint64) (r record, ok bool, err error) {
	ok, err = f.get(revisions, keyOf(number), &r)
	return r, ok, err
}

func (r record) entry(number uint64) Entry {
	return Entry{Number: number, Actor: r.Actor, Reason: r.Reason, Time: r.Time}
}

func (f file) history(limit int) ([]Entry, error) {
	h, ok, err := f.head()
	if err != nil || !ok {
		return nil, err
	}
	var all []Entry
	for n := h.Revision; n > 0 && (limit == 0 || len(all) < limit); n-- {
		r, kept, err := f.record(n)
		if err != nil {
			return nil, err
		}
		if !kept && n != h.Revision {
			break
		}
		all = append(all, r.entry(n))
	}
	return all, nil
}
