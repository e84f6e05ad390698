package datapath

import (
	"sync"
	"time"
)

// tick is how often time passes for what is remembered of flows.
const tick = time.Second

// sweeper lets time pass.
type sweeper struct {
	done chan struct{}
	over sync.WaitGroup
}

func (d *Datapath) startSweeper() error {
	if d.options.still {
		return nil
	}
	d.sweeper = &sweeper{done: make(chan struct{})}
	d.sweeper.over.Go(d.passTime)
	return nil
}

func (s *sweeper) stop() {
	close(s.done)
	s.over.Wait()
}

func (d *Datapath) passTime() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for last := d.options.now(); ; {
		select {
		case <-d.sweeper.done:
			return
		case <-ticker.C:
		}
		now := d.options.now()
		if err := d.sweep(now.Sub(last)); err != nil {
			d.options.Logger.Error("let remembered flows grow older", "error", err)
		}
		last = now
	}
}
