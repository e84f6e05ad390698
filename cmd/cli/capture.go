package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"lbctl/rss/replay"
	"lbctl/rss/replay/pcap"
	"lbctl/testbed/progress"
	"lbctl/testbed/report"
)

// ReadCapture opens a capture by its name, "-" for stdin, and passes it to read, with a progress bar if bar is set. It warns on
// stderr of records that were not used. An error of the capture says what to do.
func (a *App) ReadCapture(name string, bar bool, read func(*pcap.Reader) (replay.File, error)) error {
	in, size, err := a.OpenInput(name)
	if err != nil {
		return err
	}
	defer in.Close()
	var from io.Reader = in
	if bar && size > 0 && report.Terminal(a.Stderr) {
		shown, end := progress.Reader(a.Stderr, in, size)
		defer end()
		from = shown
	}
	capture, err := pcap.Open(from)
	if err != nil {
		return captureError(name, err)
	}
	file, err := read(capture)
	if err != nil {
		return captureError(name, err)
	}
	a.warnCapture(name, file)
	return nil
}

// OpenInput opens a file, or stdin for "-". The size in bytes is 0 if it is not known.
func (a *App) OpenInput(name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(a.Stdin), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = &Failure{Code: ExitUsage, What: name + ": a folder, not a file", Do: "name a file"}
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// captureError adds to an error of a capture what to do about it.
func captureError(name string, err error) error {
	hints := []struct {
		is   error
		hint string
	}{
		{pcap.ErrEmpty, "name a file that tcpdump -w or dumpcap wrote"},
		{pcap.ErrFormat, "name a pcap or pcapng file, gzipped or not"},
		{pcap.ErrLength, "the file is damaged: truncate it before that record, or capture again"},
		{pcap.ErrCut, "the file's header is incomplete: capture again"},
		{pcap.ErrLink, "capture on an Ethernet interface, on any, or on lo"},
		{replay.ErrUnpredicted, "capture more of each packet: tcpdump -s 128"},
		{replay.ErrNoPackets, "capture some traffic; supported link types: " + pcap.ReadableTypes()},
	}
	for _, h := range hints {
		if errors.Is(err, h.is) {
			return &Failure{Code: ExitUsage, What: name + ": " + err.Error(), Do: h.hint, Cause: err}
		}
	}
	return err
}

// warnCapture prints which records of a capture were not used.
func (a *App) warnCapture(name string, f replay.File) {
	if f.Cut != "" {
		fmt.Fprintf(a.Stderr, "lbctl: %s: %s; the packets before it are used\n", name, f.Cut)
	}
	if f.Damage != "" {
		fmt.Fprintf(a.Stderr, "lbctl: %s: %s; the packets before it are used\n", name, f.Damage)
	}
	for _, s := range f.Skipped {
		fmt.Fprintf(a.Stderr, "lbctl: %s: %s skipped: link type %s is not supported (supported are %s)\n",
			name, Many(int(s.Records), "record"), s.Link, pcap.ReadableTypes())
	}
}

// WarnUnpredicted says that packets of a capture were left out because too little of them was captured.
func (a *App) WarnUnpredicted(name string, packets uint64) {
	fmt.Fprintf(a.Stderr, "lbctl: %s: %s cut by the snapshot length before what the NIC hashes: left out (capture with tcpdump -s 128)\n",
		name, Many(int(packets), "packet"))
}

// WarnReplay prints what was left out of a replay, or counts for less than on the wire, for a command that prints none of its
// figures.
func (a *App) WarnReplay(name string, found *replay.Report) {
	if n := found.Unpredicted.Packets; n > 0 {
		a.WarnUnpredicted(name, n)
	}
	if n := found.Super.Packets; n > 0 && found.Measure != replay.Bytes {
		fmt.Fprintf(a.Stderr, "lbctl: %s: %s of GRO or TSO, which were several on the wire, count once: --by bytes weighs them\n", name, Many(int(n), "super-packet"))
	}
}

// warnTimes says that time stamps were ignored, where times matter.
func (a *App) warnTimes(name string, found *replay.Report, o replay.Options) {
	byTime := o.Window > 0 || o.Change != nil && o.Change.After > 0
	if n := found.File.AbsurdTimes; n > 0 && byTime {
		fmt.Fprintf(a.Stderr, "lbctl: %s: %s more than a year from the first packet: ignored\n", name, Many(int(n), "time stamp"))
	}
}

// ReplayFlags are the flags of commands that replay a capture through a NIC.
type ReplayFlags struct {
	*NICFlag
	By   replay.Measure
	Seed uint64
}

// NewReplayFlags adds them to a command; help says what --interface is.
func NewReplayFlags(c *cobra.Command, help string) *ReplayFlags {
	f := &ReplayFlags{NICFlag: NewNICFlag(c, help)}
	ChoiceFlag(c, &f.By, "by", "", "what the load of a queue is counted in", replay.Packets, replay.Bytes)
	c.Flags().Uint64Var(&f.Seed, "seed", 1, "seed of the by-chance band of the load")
	return f
}

// Options returns the replay that the flags describe, after Resolve. others are the values of another flag: setups to compare
// with.
func (f *ReplayFlags) Options(c *cobra.Command, flag string, others []string) (replay.Options, error) {
	first, err := f.NIC()
	if err != nil {
		return replay.Options{}, SetupFailure(c, err)
	}
	o := replay.Options{NIC: first, Queues: f.QueueCount(first.Config()), Measure: f.By, Seed: f.Seed}
	for _, words := range others {
		s, err := f.With(words)
		if err != nil {
			return replay.Options{}, Usage(c, "%s: %v", flag, err)
		}
		n, err := s.NIC()
		if err != nil {
			return replay.Options{}, Usage(c, "%s: %s: %v", flag, words, err)
		}
		o.Others = append(o.Others, replay.Other{Name: words, NIC: n, Queues: s.QueueCount(n.Config())})
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
	if err == nil {
		a.warnTimes(name, found, o)
	}
	return found, err
}
