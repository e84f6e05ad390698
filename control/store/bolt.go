package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"lbctl/control/api"
	"lbctl/lb"
)

// boltHead is the head of a file of earlier versions, formats 1 to 4: entry "current" of bucket "intent". Each
// service has an entry of its own in bucket "services" from format 3 on, and their order is entry "order" of
// "intent" from format 4 on; before that they are in the head.
type boltHead struct {
	Format   int        `json:"format"`
	Revision uint64     `json:"revision"`
	Config   api.Config `json:"config"`
	Services []string   `json:"services"`
}

// loadBolt takes over the latest revision of a file of an earlier version. Those before it are not kept.
func (j *Journal) loadBolt(f handle) error {
	// bbolt locks the file while it has it open.
	if d, ok := f.(interface{ Fd() uintptr }); ok && errors.Is(unix.Flock(int(d.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return fmt.Errorf("%w: %s has it open", lb.ErrConflict, holder(j.path))
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	file := make([]byte, info.Size())
	if _, err := f.ReadAt(file, 0); err != nil && err != io.EOF {
		return err
	}
	b, err := readBolt(file)
	if err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	c, err := b.content()
	if err == nil && c.Number != 0 {
		j.latest, err = c.revision()
		j.entries = []Entry{c.Entry}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return nil
}

// boltFormat is the last format that was a bbolt file.
const boltFormat = 4

// content returns the latest revision; number 0 if there is none.
func (b boltBuckets) content() (*content, error) {
	var head boltHead
	found, err := b.get("intent", "current", &head)
	switch {
	case err != nil:
		return nil, err
	case !found && len(b) > 0:
		return nil, errors.New("no revision")
	case !found:
		return &content{}, nil
	}
	if head.Format < 1 || head.Format > boltFormat {
		return nil, fmt.Errorf("format %d: this program knows 1 to %d", head.Format, boltFormat)
	}
	c := &content{config: head.Config, order: head.Services, services: map[string]*api.Service{}}
	if _, err := b.get("intent", "order", &c.order); err != nil {
		return nil, err
	}
	for _, name := range c.order {
		s := new(api.Service)
		if found, err := b.get("services", name, s); err != nil {
			return nil, err
		} else if found {
			c.services[name] = s
		}
	}
	var r record
	_, err = b.get("revisions", string(binary.BigEndian.AppendUint64(nil, head.Revision)), &r)
	r.Revision = head.Revision
	c.Entry = r.entry()
	return c, err
}

// get reads a value, and tells whether there is one.
func (b boltBuckets) get(bucket, key string, v any) (bool, error) {
	text, found := b[bucket][key]
	if !found {
		return false, nil
	}
	if err := json.Unmarshal(text, v); err != nil {
		return false, fmt.Errorf("%s %q: %w", bucket, key, err)
	}
	return true, nil
}
