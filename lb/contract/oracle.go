package contract

import (
	"fmt"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/lb/oracle"
)

// Oracle opens the reference datapath in the network of Links.
func Oracle(t *testing.T) Harness {
	indexes := Indexes()
	m := oracle.New(oracle.Config{Limits: Limits(), Interfaces: indexes, Routes: Routes()})
	t.Cleanup(func() { m.Close() })
	return Harness{
		Dataplane: m,
		Send: func(link string, frame []byte) (oracle.Verdict, error) {
			index, found := indexes[link]
			if !found {
				return oracle.Verdict{}, fmt.Errorf("send on %s: %w", link, lb.ErrNotFound)
			}
			return m.Process(index, frame), nil
		},
		Advance:  func(_ *testing.T, d time.Duration) { m.Advance(d) },
		Indexes:  indexes,
		MaxFrame: 9014,
		Reopen:   func(*testing.T) lb.Dataplane { return m.Reopen() },
	}
}
