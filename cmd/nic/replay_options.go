package nic

import (
	"io"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/nic"
	"lbctl/rss/replay"
	"lbctl/rss/replay/pcap"
	"lbctl/testbed/report"
)

// captureFlag are the flags of commands that replay a capture.
type captureFlag struct {
	*nicSpec
	by   replay.Measure
	seed uint64
}

func captureFlags(c *cobra.Command) *captureFlag {
	f := &captureFlag{nicSpec: nicSpecFlags(c)}
	c.Flags().StringVar((*string)(&f.by), "by", string(replay.Packets), "what the load of a queue is: packets or bytes")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "what decides the by-chance band of the load")
	return f
}

// options returns the replay that the flags describe, against others, the values of a flag.
func (f *captureFlag) options(c *cobra.Command, flag string, others []string) (replay.Options, error) {
	if f.by != replay.Packets && f.by != replay.Bytes {
		return replay.Options{}, cli.Usage(c, "--by: %q is not known", f.by).OrNearest(string(f.by), []string{"packets", "bytes"}, "--by ")
	}
	first, err := f.nic()
	if err != nil {
		return replay.Options{}, cli.Usage(c, "%v", err)
	}
	o := replay.Options{NIC: first, Queues: f.queues, Measure: f.by, Seed: f.seed}
	for _, words := range others {
		spec, err := f.with(words)
		if err != nil {
			return replay.Options{}, cli.Usage(c, "%s: %v", flag, err)
		}
		n, err := spec.nic()
		if err != nil {
			return replay.Options{}, cli.Usage(c, "%s: %s: %v", flag, words, err)
		}
		o.Others = append(o.Others, replay.Other{Name: words, NIC: n, Queues: spec.queues})
	}
	return o, nil
}

func (s nicSpec) nic() (*nic.NIC, error) {
	config, err := s.config()
	if err != nil {
		return nil, err
	}
	return nic.New(config)
}

// replayCapture replays the capture of a name, "-" for stdin, with a progress bar if there is somebody
// to see it. What is not right with the capture as a whole is said on stderr.
func replayCapture(a *cli.App, c *cobra.Command, name string, o replay.Options) (*replay.Report, error) {
	in, size, err := a.OpenCapture(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var from io.Reader = in
	if size > 0 && report.Terminal(a.Stderr) {
		bar := a.CaptureBar(size)
		defer bar.Clear()
		from = io.TeeReader(in, bar)
	}
	capture, err := pcap.Open(from)
	if err != nil {
		return nil, cli.CaptureError(name, err)
	}
	found, err := replay.Run(c.Context(), capture, o)
	if err != nil {
		return nil, cli.CaptureError(name, err)
	}
	a.WarnCapture(name, found.File)
	return found, nil
}
