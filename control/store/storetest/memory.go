// Package storetest is for tests alone: a store in memory, and the contract that every store keeps.
package storetest

import (
	"context"
	"fmt"
	"sync"

	"lbctl/control/intent"
	"lbctl/control/store"
	"lbctl/lb"
)

// Memory is a store in memory. The zero value is an empty one.
type Memory struct {
	mu        sync.Mutex
	revisions []store.Revision
	// fail is what Append returns, if it is not nil.
	fail error
}

var _ store.Store = (*Memory)(nil)

// Fail makes every Append fail with an error from now on, and none with nil.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// Append implements store.Store.
func (m *Memory) Append(_ context.Context, after uint64, all ...store.Revision) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch latest := m.latest().Number; {
	case m.fail != nil:
		return 0, m.fail
	case after != latest:
		return 0, fmt.Errorf("append after revision %d: %w: the latest is %d", after, lb.ErrConflict, latest)
	}
	for _, r := range all {
		after++
		r.Number = after
		m.revisions = append(m.revisions, r)
	}
	return after, nil
}

func (m *Memory) latest() store.Revision {
	if len(m.revisions) == 0 {
		return store.Revision{Intent: intent.Default()}
	}
	return m.revisions[len(m.revisions)-1]
}

// Latest implements store.Store.
func (m *Memory) Latest(context.Context) (store.Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.latest(), nil
}

// Revision implements store.Store.
func (m *Memory) Revision(_ context.Context, number uint64) (store.Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if number == 0 || number > uint64(len(m.revisions)) {
		return store.Revision{}, fmt.Errorf("revision %d: %w", number, lb.ErrNotFound)
	}
	return m.revisions[number-1], nil
}

// History implements store.Store.
func (m *Memory) History(_ context.Context, limit int) (all []store.Entry, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := len(m.revisions) - 1; n >= 0 && (limit == 0 || len(all) < limit); n-- {
		all = append(all, m.revisions[n].Entry)
	}
	return all, nil
}

// Close implements store.Store.
func (m *Memory) Close() error { return nil }
