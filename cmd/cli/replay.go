package cli

import (
	"github.com/spf13/cobra"

	"lbctl/rss/replay"
	"lbctl/rss/replay/pcap"
	"lbctl/rss/setup"
)

// ReplayFlags are the flags of commands that replay a capture through a NIC.
type ReplayFlags struct {
	*setup.Setup
	By   replay.Measure
	Seed uint64
}

// NewReplayFlags adds them to a command.
func NewReplayFlags(c *cobra.Command) *ReplayFlags {
	f := &ReplayFlags{Setup: NICFlags(c)}
	c.Flags().StringVar((*string)(&f.By), "by", string(replay.Packets), "the load of a queue is counted in packets or bytes")
	c.Flags().Uint64Var(&f.Seed, "seed", 1, "seed of the by-chance band of the load")
	return f
}

// Options returns the replay that the flags describe. others are the values of another flag: setups to compare with.
func (f *ReplayFlags) Options(c *cobra.Command, flag string, others []string) (replay.Options, error) {
	if f.By != replay.Packets && f.By != replay.Bytes {
		return replay.Options{}, Usage(c, "--by: %q is not known", f.By).OrNearest(string(f.By), []string{"packets", "bytes"}, "--by ")
	}
	first, err := f.NIC()
	if err != nil {
		return replay.Options{}, SetupFailure(c, err)
	}
	o := replay.Options{NIC: first, Queues: f.Queues, Measure: f.By, Seed: f.Seed}
	for _, words := range others {
		s, err := f.With(words)
		if err != nil {
			return replay.Options{}, Usage(c, "%s: %v", flag, err)
		}
		n, err := s.NIC()
		if err != nil {
			return replay.Options{}, Usage(c, "%s: %s: %v", flag, words, err)
		}
		o.Others = append(o.Others, replay.Other{Name: words, NIC: n, Queues: s.Queues})
	}
	return o, nil
}

// Replay replays a capture by its name, "-" for stdin, with a progress bar on a terminal. It warns on stderr of
// records that were not used.
func (a *App) Replay(c *cobra.Command, name string, o replay.Options) (found *replay.Report, err error) {
	err = a.ReadCapture(name, true, func(capture *pcap.Reader) (replay.File, error) {
		if found, err = replay.Run(c.Context(), capture, o); err != nil {
			return replay.File{}, err
		}
		return found.File, nil
	})
	return found, err
}
