package sim

import (
	"fmt"
	"time"
)

// Validate returns an error that says which value is invalid, and what is valid.
func (c Config) Validate() error {
	if _, err := ParseMode(string(c.Mode)); err != nil {
		return err
	}
	for _, check := range []func() error{c.validateCores, c.Moderation.validate, c.Costs.validate, c.Budget.validate, c.validateTimes} {
		if err := check(); err != nil {
			return err
		}
	}
	if c.Scheduler.Slice <= 0 || c.Scheduler.Share < 1 || c.Scheduler.Share > 99 {
		return fmt.Errorf("slice of %v with a share of %d %%: want a time above 0 and 1 to 99 %%", c.Scheduler.Slice, c.Scheduler.Share)
	}
	return nil
}

// validateCores checks queues, cores, rings and sockets.
func (c Config) validateCores() error {
	if len(c.Table) == 0 {
		return fmt.Errorf("indirection table of 0 entries: want at least 1")
	}
	if queues := c.Table.Queues(); len(c.Cores) < queues {
		return fmt.Errorf("cores for %d queues: the indirection table names %d", len(c.Cores), queues)
	}
	used := make([]bool, c.cores())
	for queue, core := range c.Cores {
		if core < 0 || core >= len(c.Cores) {
			return fmt.Errorf("core %d of queue %d: want 0 to %d", core, queue, len(c.Cores)-1)
		}
		used[core] = true
	}
	for core, is := range used {
		if !is {
			return fmt.Errorf("core %d has no queue: want cores numbered without gaps", core)
		}
	}
	if err := validateRoom("ring", c.Ring); err != nil {
		return err
	}
	return validateRoom("socket", c.Socket)
}

func validateRoom(name string, packets int) error {
	if packets < 1 || packets > MaxRing {
		return fmt.Errorf("%s of %d packets: want 1 to %d", name, packets, MaxRing)
	}
	return nil
}

func (m Moderation) validate() error {
	switch {
	case m.Delay < 0 || m.Delay > time.Second:
		return fmt.Errorf("interrupt delay of %v: want 0 to 1s", m.Delay)
	case m.Frames < 0:
		return fmt.Errorf("interrupt after %d frames: want 0 or more", m.Frames)
	case m.Delay == 0 && m.Frames > 1:
		return fmt.Errorf("interrupt after %d frames without a delay: fewer would wait forever; want a delay too", m.Frames)
	}
	return nil
}

func (c Costs) validate() error {
	for _, cost := range []struct {
		name string
		time time.Duration
	}{
		{"interrupt", c.Interrupt}, {"poll", c.Poll}, {"packet", c.Packet}, {"KiB", c.PerKiB},
		{"application", c.Application}, {"switch", c.Switch},
	} {
		if cost.time < 0 || cost.time > time.Second {
			return fmt.Errorf("%s cost of %v: want 0 to 1s", cost.name, cost.time)
		}
	}
	return nil
}

func (b Budget) validate() error {
	for _, limit := range []struct {
		name  string
		value int
	}{{"poll", b.Poll}, {"round", b.Round}, {"rounds", b.Rounds}, {"busy poll", b.BusyPoll}} {
		if limit.value < 1 {
			return fmt.Errorf("%s budget of %d: want at least 1", limit.name, limit.value)
		}
	}
	if b.RoundTime <= 0 {
		return fmt.Errorf("round time of %v: want more than 0", b.RoundTime)
	}
	return nil
}

func (c Config) validateTimes() error {
	switch {
	case c.Mode == ModeBusyPoll && c.BusyPoll <= 0, c.BusyPoll < 0:
		return fmt.Errorf("busy poll of %v: want more than 0", c.BusyPoll)
	case c.Warmup < 0 || c.Duration < 0:
		return fmt.Errorf("warm-up of %v in %v: want neither below 0", c.Warmup, c.Duration)
	case c.Duration > 0 && c.Warmup >= c.Duration:
		return fmt.Errorf("warm-up of %v in %v: want it shorter than the whole", c.Warmup, c.Duration)
	}
	return nil
}
