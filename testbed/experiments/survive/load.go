package survive

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/traffic/flood"
)

// loadFlows is how many flows the load has.
const loadFlows = 1 << 16

// load is frames at a steady rate to the service sink, of which every one is counted.
type load struct {
	run    *run
	sender *flood.Sender
	stop   context.CancelFunc
	ended  chan error
}

// startLoad starts sending.
func (r *run) startLoad(ctx context.Context) (*load, error) {
	sender, err := r.stage.Flood(flood.Config{
		To: []netip.AddrPort{r.sink.VIP.Address}, From: floodNet(), Flows: loadFlows, Flags: packet.ACK, Rate: r.rate,
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	l := &load{run: r, sender: sender, stop: stop, ended: make(chan error, 1)}
	go func() { l.ended <- sender.Send(ctx, 0, math.MaxUint64) }()
	return l, nil
}

// more waits until so many more frames were sent.
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
	err := <-l.ended
	return l.sender.Sent(), errors.Join(err, l.sender.Close())
}

// count is what became of the frames of a load.
type count struct {
	times int
	// sent frames were taken by the replicas, or found the ring of a replica's link full.
	sent, taken, dropped uint64
}

// lost is how many frames nobody has seen again; a frame that was seen twice counts against one that was lost.
func (c count) lost() int { return int(c.sent) - int(c.taken) - int(c.dropped) }

// between is how many frames there are, at least, between two things that happen under load.
const between = 2000

// under does something many times under load, and counts the frames.
func (r *run) under(ctx context.Context, what string, times int, do func(ctx context.Context, l *load) error) (c count, err error) {
	before, err := r.settle(ctx, r.sunk())
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
	after, err := r.settle(ctx, r.sunk())
	c.sent, c.taken, c.dropped = sent, after.Taken-before.Taken, after.Dropped-before.Dropped
	r.rows.load = append(r.rows.load, []any{what, c.times, c.sent, c.taken, c.dropped, c.lost(), seconds(took), milliseconds(took / time.Duration(times))})
	return c, err
}
