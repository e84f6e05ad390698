package datapath

import (
	"sync"
	"time"
)

// tick is how often the records of flows are swept.
const tick = time.Second

// sweeper calls sweep every tick.
type sweeper struct {
	stopped chan struct{}
	done    sync.WaitGroup
}

func (d *Datapath) startSweeper() error {
	if d.options.manualClock {
		return nil
	}
	d.sweeper = &sweeper{stopped: make(chan struct{})}
	d.sweeper.done.Go(d.passTime)
	return nil
}

func (s *sweeper) stop() {
	close(s.stopped)
	s.done.Wait()
}

func (d *Datapath) passTime() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for last := d.options.now(); ; {
		select {
		case <-d.sweeper.stopped:
			return
		case <-ticker.C:
		}
		now := d.options.now()
		if err := d.sweep(now.Sub(last)); err != nil {
			d.options.Logger.Error("age the records of flows", "error", err)
		}
		last = now
	}
}
