package identify

import (
	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/identify"
	"lbctl/rss/observe"
)

// live observes an interface. It adds the key and table that its driver reports to the options.
func (f *flags) live(a *cli.App, c *cobra.Command, o *identify.Options) ([]identify.Observation, error) {
	if err := f.Validate(c); err != nil {
		return nil, err
	}
	settings, err := a.NICs.Read(f.name)
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
	var observations []identify.Observation
	err = a.Observe(c.Context(), f.name, observe.Mode(f.Mode), f.Duration, func(o *observe.Observer) error {
		sightings, err := o.Sightings()
		observations = observed(sightings)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(observations) == 0 {
		return nil, &cli.Failure{Code: cli.ExitFailed, What: "no packet of TCP or UDP was seen on " + f.name, Do: "send it some from different ports, or observe for longer (--for)"}
	}
	return observations, nil
}

// observed turns sightings into observations, at most identify.MaxObservations: those with a hash, or if there are none
// all of them.
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
