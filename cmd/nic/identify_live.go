package nic

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/ethtool"
	"lbctl/rss/identify"
	"lbctl/rss/observe"
)

// live observes an interface. The key and table that its driver shows join the options.
func (f *identifyFlag) live(a *cli.App, c *cobra.Command, nics cli.Interfaces, o *identify.Options) ([]identify.Observation, error) {
	watch := verifyFlag{mode: f.mode, duration: f.duration}
	if err := watch.validate(c); err != nil {
		return nil, err
	}
	settings, err := nics.Read(f.name)
	if err != nil {
		return nil, cli.AdviseInterface(err)
	}
	if settings.Key != nil {
		shown := identify.NamedKey{Name: "the key that the driver shows", Key: settings.Key}
		o.Keys = append([]identify.NamedKey{shown}, o.Keys...)
	}
	if o.Table == nil && o.Queues == 0 {
		o.Table = settings.Table
	}
	sightings, err := f.watch(a, c.Context())
	if err != nil {
		return nil, err
	}
	observations := observed(sightings)
	if len(observations) == 0 {
		return nil, &cli.Failure{Code: cli.ExitFailed, What: "no packet of TCP or UDP was seen on " + f.name, Do: "send it some from different ports, or observe for longer (--for)"}
	}
	return observations, nil
}

// watch observes until the time is over or Ctrl-C.
func (f *identifyFlag) watch(a *cli.App, ctx context.Context) ([]observe.Sighting, error) {
	device, err := net.InterfaceByName(f.name)
	if err != nil {
		return nil, cli.AdviseInterface(fmt.Errorf("find %s: %w", f.name, ethtool.ErrNoInterface))
	}
	observer, err := observe.Open(device.Index, observe.Options{Mode: observe.Mode(f.mode)})
	if err != nil {
		return nil, adviseObserver(fmt.Errorf("observe %s: %w", f.name, err))
	}
	defer observer.Close()
	if f.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.duration)
		defer cancel()
	}
	watching := a.Watching("observe "+f.name, f.duration, 0)
	defer watching.End()
	for tick := time.NewTicker(watchEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return observer.Sightings()
		case <-tick.C:
			totals, err := observer.Totals()
			if err != nil {
				return nil, fmt.Errorf("observe %s: %w", f.name, err)
			}
			watching.At(totals)
		}
	}
}

// watchEvery is how often progress is shown.
const watchEvery = 200 * time.Millisecond

// observed are sightings as observations: those with a hash, if the NIC tells it of any. Not more than can be looked
// at.
func observed(sightings []observe.Sighting) (all []identify.Observation) {
	hashed := false
	for _, s := range sightings {
		hashed = hashed || s.Hashed
	}
	for _, s := range sightings {
		if s.Hashed == hashed && len(all) < identify.MaxObservations {
			all = append(all, identify.Observation{Flow: s.Flow, Hash: s.Hash, HasHash: s.Hashed, Queue: s.Queue, HasQueue: true})
		}
	}
	return all
}
