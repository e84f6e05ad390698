package hold

import (
	"cmp"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"lbctl/testbed/replica/echo"
)

// worker is the state of one goroutine.
type worker struct {
	random *rand.ChaCha8
	buffer []byte
}

// parallel calls f for 0 to n-1, on as many goroutines as may work at a time, and waits.
func (h *holder) parallel(n int, f func(i int, w *worker)) {
	h.rounds++
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	var threads sync.WaitGroup
	for thread := range min(n, h.config.Concurrency) {
		threads.Go(func() {
			w := &worker{random: h.random(uint64(thread)), buffer: make([]byte, echo.AnswerHeaderLength+echo.MaxMessage)}
			for i := range next {
				f(i, w)
			}
		})
	}
	threads.Wait()
}

// random returns what a thread of this round puts into messages.
func (h *holder) random(thread uint64) *rand.ChaCha8 {
	var seed [32]byte
	for i, n := range []uint64{h.config.Seed, h.rounds, thread} {
		binary.LittleEndian.PutUint64(seed[8*i:], n)
	}
	return rand.NewChaCha8(seed)
}

// open opens the connections that an order wants.
func (h *holder) open(ctx context.Context, w OpenRequest) (opened []Opened, refused []Refused) {
	connections, took, errs := make([]*connection, w.Count), make([]time.Duration, w.Count), make([]error, w.Count)
	h.parallel(w.Count, func(i int, own *worker) {
		source := w.source(i, h.opened, h.config.Sources)
		start := time.Now()
		connections[i], errs[i] = open(ctx, source, w.VIP, h.config.Timeout, own)
		took[i] = time.Since(start)
	})
	h.opened += w.Count
	for i, c := range connections {
		if errs[i] != nil {
			refused = append(refused, Refused{VIP: w.VIP, Err: errs[i].Error()})
			continue
		}
		h.held = append(h.held, c)
		opened = append(opened, Opened{Place: c.place, Flow: c.flow, Took: took[i]})
	}
	return opened, refused
}

// batch is how many messages a thread has under way: it waits less often for an answer.
const batch = 16

// ask sends a message on every connection that is not at a silent place, and forgets those that are lost.
func (h *holder) ask(silent []Place) (all []Asked, lost []Lost) {
	var asked, rest []*connection
	for _, c := range h.held {
		if slices.Contains(silent, c.place) {
			rest = append(rest, c)
		} else {
			asked = append(asked, c)
		}
	}
	fates := make([]*Lost, len(asked))
	h.parallel((len(asked)+batch-1)/batch, func(i int, w *worker) {
		from, to := i*batch, min((i+1)*batch, len(asked))
		exchange(asked[from:to], fates[from:to], h.config.Timeout, w)
	})
	for i, c := range asked {
		all = append(all, c.asked())
		if fates[i] != nil {
			lost = append(lost, *fates[i])
			_ = c.conn.Close()
			continue
		}
		rest = append(rest, c)
	}
	h.held = rest
	return all, lost
}

// exchange sends on all connections, then waits for the answers.
func exchange(all []*connection, fates []*Lost, timeout time.Duration, w *worker) {
	for i, c := range all {
		if err := c.send(timeout, w.random); err != nil {
			fates[i] = c.lost(0, err)
		}
	}
	due := time.Now().Add(timeout)
	for i, c := range all {
		if fates[i] == nil {
			index, err := c.receive(due, w.buffer)
			fates[i] = c.lost(index, err)
		}
	}
}

// finish closes the connections of some places.
func (h *holder) finish(places []Place) []Count {
	closed := map[Place]int{}
	h.held = slices.DeleteFunc(h.held, func(c *connection) bool {
		done := slices.Contains(places, c.place)
		if done {
			_ = c.conn.Close()
			closed[c.place]++
		}
		return done
	})
	return counts(closed)
}

// counts lists counts in the order of their places.
func counts(m map[Place]int) []Count {
	var list []Count
	for p, n := range m {
		list = append(list, Count{Place: p, Connections: n})
	}
	slices.SortFunc(list, func(a, b Count) int {
		if c := a.VIP.Compare(b.VIP); c != 0 {
			return c
		}
		return cmp.Compare(a.Replica, b.Replica)
	})
	return list
}
