package survive

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/cluster"
	"lbctl/testbed/traffic/flood"
)

// loadFlows is how many flows the load has.
const loadFlows = 1 << 16

// load is frames at a steady rate to the service sink. Every one is counted.
type load struct {
	run    *run
	sender *flood.Sender
	stop   context.CancelFunc
	done   chan error
}

// startLoad starts sending.
func (r *run) startLoad(ctx context.Context) (*load, error) {
	sender, err := r.cluster.Flood(flood.Config{
		To: []netip.AddrPort{r.sink.VIP.Address}, From: floodNet(), Flows: loadFlows, Flags: packet.ACK, Rate: r.rate,
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	l := &load{run: r, sender: sender, stop: stop, done: make(chan error, 1)}
	go func() { l.done <- sender.Send(ctx, 0, math.MaxUint64) }()
	return l, nil
}

// more waits until a number of further frames were sent.
func (l *load) more(ctx context.Context, frames uint64) error {
	const limit = 10 * time.Second
	goal := l.sender.Sent() + frames
	err := l.run.await(ctx, limit, func() (bool, error) { return l.sender.Sent() >= goal, nil })
	if err == nil && l.sender.Sent() < goal {
		return fmt.Errorf("send %d frames: not done after %v", frames, limit)
	}
	return err
}

// end ends the load and returns how many frames were sent.
func (l *load) end() (uint64, error) {
	l.stop()
	err := <-l.done
	return l.sender.Sent(), errors.Join(err, l.sender.Close())
}

// count is what became of the frames of a load.
type count struct {
	times int
	// Of the sent frames, replicas received the taken ones; dropped ones found the ring of a replica's link full.
	sent, taken, dropped uint64
}

// lost is how many frames disappeared. A frame that was duplicated counts as minus one.
func (c count) lost() int { return int(c.sent) - int(c.taken) - int(c.dropped) }

// between is how many frames are sent, at least, between two events under load.
const between = 2000

// under does something a number of times under load, and counts the frames.
func (r *run) under(ctx context.Context, what string, times int, do func(ctx context.Context, l *load) error) (c count, err error) {
	before, err := r.awaitQuiet(ctx, r.sunk())
	if err != nil {
		return c, err
	}
	l, err := r.startLoad(ctx)
	if err != nil {
		return c, err
	}
	start := time.Now()
	for err == nil && c.times < times {
		if err = l.more(ctx, between); err == nil {
			err = do(ctx, l)
		}
		c.times++
	}
	took := time.Since(start)
	if err == nil {
		err = l.more(ctx, between)
	}
	sent, endErr := l.end()
	if err = errors.Join(err, endErr); err != nil {
		return c, fmt.Errorf("time %d of %d: %w", c.times, times, err)
	}
	after, err := r.awaitQuiet(ctx, r.sunk())
	c.sent, c.taken, c.dropped = sent, after.Taken-before.Taken, after.Dropped-before.Dropped
	r.rows.load = append(r.rows.load, []any{what, c.times, c.sent, c.taken, c.dropped, c.lost(), seconds(took), milliseconds(took / time.Duration(times))})
	return c, err
}

// tick is how often await polls.
const tick = time.Millisecond

// await polls a condition until it holds, or the time is over, which is no error: what was
// not seen by then is missing in the counts.
func (r *run) await(ctx context.Context, limit time.Duration, holds func() (bool, error)) error {
	late := time.NewTimer(limit)
	defer late.Stop()
	again := time.NewTicker(tick)
	defer again.Stop()
	for {
		if done, err := holds(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			return nil
		case <-again.C:
		}
	}
}

// replicaRange is the replicas of the cluster from one number to another, excluded.
type replicaRange struct{ from, to int }

// pool are the replicas of the services that are changed, unchanged those of other and sink, sunk those of sink.
func (r *run) pool() replicaRange { return replicaRange{0, r.replicas} }

func (r *run) unchanged() replicaRange { return replicaRange{r.replicas, r.replicas + others + sinks} }

func (r *run) sunk() replicaRange {
	return replicaRange{r.replicas + others, r.replicas + others + sinks}
}

// taken sums what was counted on the links to some replicas.
func (r *run) taken(of replicaRange) (sum cluster.Link, err error) {
	links, err := r.cluster.Links()
	if err != nil {
		return sum, err
	}
	for _, l := range links[of.from:of.to] {
		sum.Taken += l.Taken
		sum.Dropped += l.Dropped
	}
	return sum, nil
}

// calm is for how many polls in a row the counts must stay the same.
const calm = 20

// awaitQuiet waits until no frame arrives at some replicas any more, and returns the counts.
func (r *run) awaitQuiet(ctx context.Context, of replicaRange) (last cluster.Link, err error) {
	same := 0
	err = r.await(ctx, 5*time.Second, func() (bool, error) {
		now, err := r.taken(of)
		same++
		if now != last {
			same = 0
		}
		last = now
		return same >= calm, err
	})
	return last, err
}
