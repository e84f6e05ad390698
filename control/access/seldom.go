package access

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// seldom is a handler that passes on at most one record a second, with how many were left out before it.
type seldom struct {
	slog.Handler
	of *seldomState
}

type seldomState struct {
	mu         sync.Mutex
	next       time.Time
	suppressed int
}

// Seldom bounds what clients can have written by failing: handshakes, and requests that are not HTTP.
func Seldom(h slog.Handler) slog.Handler { return &seldom{h, &seldomState{}} }

// Handle implements slog.Handler.
func (s *seldom) Handle(ctx context.Context, r slog.Record) error {
	suppressed, write := s.of.admit(r.Time)
	if !write {
		return nil
	}
	if suppressed > 0 {
		r.AddAttrs(slog.Int("records_suppressed", suppressed))
	}
	return s.Handler.Handle(ctx, r)
}

func (s *seldomState) admit(now time.Time) (suppressed int, write bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.next) {
		s.suppressed++
		return 0, false
	}
	s.next = now.Add(time.Second)
	suppressed, s.suppressed = s.suppressed, 0
	return suppressed, true
}
