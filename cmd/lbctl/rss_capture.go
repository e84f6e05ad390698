package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

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
		return replay.Options{}, usage(c, "--by: %q is not known", f.by).orNearest(string(f.by), []string{"packets", "bytes"}, "--by ")
	}
	first, err := f.nic()
	if err != nil {
		return replay.Options{}, usage(c, "%v", err)
	}
	o := replay.Options{NIC: first, Queues: f.queues, Measure: f.by, Seed: f.seed}
	for _, words := range others {
		spec, err := f.with(words)
		if err != nil {
			return replay.Options{}, usage(c, "%s: %v", flag, err)
		}
		n, err := spec.nic()
		if err != nil {
			return replay.Options{}, usage(c, "%s: %s: %v", flag, words, err)
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

// replay replays the capture of a name, "-" for stdin, with a progress bar if there is somebody
// to see it. What is not right with the capture as a whole is said on stderr.
func (a *app) replay(c *cobra.Command, name string, o replay.Options) (*replay.Report, error) {
	in, size, err := a.openCapture(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var from io.Reader = in
	if size > 0 && report.Terminal(a.stderr) {
		bar := a.captureBar(size)
		defer bar.Clear()
		from = io.TeeReader(in, bar)
	}
	capture, err := pcap.Open(from)
	if err != nil {
		return nil, captureError(name, err)
	}
	found, err := replay.Run(c.Context(), capture, o)
	if err != nil {
		return nil, captureError(name, err)
	}
	a.warn(name, found.File)
	return found, nil
}

// openCapture opens a file, and tells its size where that is known.
func (a *app) openCapture(name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(a.stdin), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = &failure{code: exitUsage, what: name + ": a folder, not a capture", hint: "name a file"}
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// captureBar shows how much of the file was read and when the rest will be.
func (a *app) captureBar(size int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(a.stderr), progressbar.OptionSetWidth(32), progressbar.OptionShowBytes(true),
		progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetDescription("replay"),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "━", SaucerPadding: "─", BarStart: "", BarEnd: ""}),
	)
}

// captureError says what is wrong with a capture and what to do.
func captureError(name string, err error) error {
	hints := []struct {
		is   error
		hint string
	}{
		{pcap.ErrEmpty, "name a file that tcpdump -w or dumpcap wrote"},
		{pcap.ErrFormat, "name a pcap or pcapng file, gzipped or not"},
		{pcap.ErrLength, "the file is damaged: cut it before that place, or capture again"},
		{pcap.ErrCut, "not even its head is there: capture again"},
		{pcap.ErrLink, "capture on an Ethernet interface, on any, or on lo"},
		{replay.ErrNoPackets, "capture some traffic; link types that are read: " + pcap.ReadableTypes()},
	}
	for _, h := range hints {
		if errors.Is(err, h.is) {
			return &failure{code: exitUsage, what: name + ": " + err.Error(), hint: h.hint, cause: err}
		}
	}
	return err
}

// warn says what of a capture was not used.
func (a *app) warn(name string, f replay.File) {
	if f.Cut != "" {
		fmt.Fprintf(a.stderr, "lbctl: %s: %s; what came before is used\n", name, f.Cut)
	}
	for _, s := range f.Skipped {
		fmt.Fprintf(a.stderr, "lbctl: %s: %s passed over: link type %s is not read (those read are %s)\n",
			name, many(int(s.Records), "record"), s.Link, pcap.ReadableTypes())
	}
	if f.AbsurdTimes > 0 {
		fmt.Fprintf(a.stderr, "lbctl: %s: %s more than a year from the first packet: not believed\n", name, many(int(f.AbsurdTimes), "time stamp"))
	}
}
