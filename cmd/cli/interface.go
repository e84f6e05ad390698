package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"lbctl/rss/ethtool"
	"lbctl/rss/observe"
	"lbctl/testbed/progress"
)

// Interfaces reads and changes the settings of NICs: this machine's, or in tests those of a NIC in memory.
type Interfaces struct {
	Read  func(name string) (ethtool.Settings, error)
	Apply func(ethtool.Settings, ethtool.Change) error
	// Context, Create and Delete are about additional RSS contexts.
	Context func(ethtool.Settings, ethtool.Context) (ethtool.Settings, error)
	Create  func(ethtool.Settings, ethtool.Change) (ethtool.Context, error)
	Delete  func(ethtool.Settings, ethtool.Context) error
}

// RealInterfaces returns the NICs of this machine.
func RealInterfaces() Interfaces {
	return Interfaces{ethtool.Read, ethtool.Apply, ethtool.ReadContext, ethtool.Create, ethtool.Delete}
}

// AdviseInterface says what to do about an error of an interface's settings.
func AdviseInterface(err error) error {
	switch {
	case errors.Is(err, ethtool.ErrNoInterface):
		return &Failure{Code: ExitNotFound, What: err.Error(), Do: "name an interface that ip link shows in this network namespace", Cause: err}
	case errors.Is(err, ethtool.ErrNoContext):
		return &Failure{Code: ExitNotFound, What: err.Error(), Do: "see lbctl rss show IFACE, or create one: lbctl rss set IFACE --context new", Cause: err}
	case errors.Is(err, ethtool.ErrNoRSS):
		return &Failure{Code: ExitFailed, What: err.Error(), Do: "name a NIC with RSS; lbctl rss show IFACE says what an interface has", Cause: err}
	case errors.Is(err, ethtool.ErrRefused):
		return &Failure{Code: ExitFailed, What: err.Error(), Do: "see what the driver can do: lbctl rss show IFACE, and its documentation", Cause: err}
	}
	return Advise(err, "run it as root, or with CAP_NET_ADMIN (setting) and CAP_BPF (observing)")
}

// ObserveFlags are the flags of commands that observe what comes in on an interface.
type ObserveFlags struct {
	Mode     observe.Mode
	Duration time.Duration
}

// NewObserveFlags adds them to a command. help says how --for can end early or not at all.
func NewObserveFlags(c *cobra.Command, help string) *ObserveFlags {
	f := &ObserveFlags{}
	ChoiceFlag(c, &f.Mode, "mode", "", "where to observe", observe.Auto, observe.Native, observe.Generic, observe.Socket)
	c.Flags().DurationVar(&f.Duration, "for", 10*time.Second, "how long to observe; "+help)
	return f
}

// Validate checks the flags.
func (f *ObserveFlags) Validate(c *cobra.Command) error {
	if f.Duration < 0 {
		return Usage(c, "--for: %v is negative", f.Duration)
	}
	return nil
}

// observeEvery is the time between two updates of the progress of an observation.
const observeEvery = 200 * time.Millisecond

// Observe observes an interface until the duration is over, 0 for no end, or ctx is done, and passes the observer to read,
// which returns what it saw. The end of ctx is no error.
func (a *App) Observe(ctx context.Context, name string, mode observe.Mode, duration time.Duration, read func(*observe.Observer) error) error {
	device, err := net.InterfaceByName(name)
	if err != nil {
		return AdviseInterface(fmt.Errorf("find %s: %w", name, ethtool.ErrNoInterface))
	}
	o, err := observe.Open(device.Index, observe.Options{Mode: mode})
	if err != nil {
		return AdviseObserver(fmt.Errorf("observe %s: %w", name, err))
	}
	defer o.Close()
	if duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, duration)
		defer cancel()
	}
	shown := a.Observation("observe "+name, duration, 0)
	defer shown.End()
	tick := time.NewTicker(observeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return read(o)
		case <-tick.C:
			totals, err := o.Totals()
			if err != nil {
				return fmt.Errorf("observe %s: %w", name, err)
			}
			shown.Saw(totals)
		}
	}
}

// AdviseObserver says what to do about an observer that could not be attached.
func AdviseObserver(err error) error {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return err
	}
	return Advise(err, "run it as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW; another --mode may be possible")
}

// Observation shows how far an observation of packets is.
type Observation struct {
	progress.Progress
	started  time.Time
	duration time.Duration
	packets  uint64
}

// observationSteps is how finely it is shown.
const observationSteps = 1000

// Observation begins to show an observation that lasts for a duration, or a number of packets, whichever
// ends first; 0 is no limit.
func (a *App) Observation(what string, duration time.Duration, packets uint64) *Observation {
	o := &Observation{Progress: a.Progress(), started: time.Now(), duration: duration, packets: packets}
	o.Begin(observationSteps)
	o.Step(what)
	return o
}

// Saw shows where the observation is.
func (o *Observation) Saw(t observe.Totals) {
	done := 0.0
	if o.duration > 0 {
		done = float64(time.Since(o.started)) / float64(o.duration)
	}
	if o.packets > 0 {
		done = max(done, float64(t.All())/float64(o.packets))
	}
	o.At(min(int(done*observationSteps), observationSteps-1))
}
