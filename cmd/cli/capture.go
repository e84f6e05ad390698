package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"

	"lbctl/rss/replay"
	"lbctl/rss/replay/pcap"
)

// OpenCapture opens a file, or stdin for "-". The size is 0 where it is not known.
func (a *App) OpenCapture(name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(a.Stdin), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = &Failure{Code: ExitUsage, What: name + ": a folder, not a capture", Do: "name a file"}
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// captureBar shows how much of the file was read and how long the rest will take.
func (a *App) captureBar(size int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(a.Stderr), progressbar.OptionSetWidth(32), progressbar.OptionShowBytes(true),
		progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetDescription("replay"),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "━", SaucerPadding: "─", BarStart: "", BarEnd: ""}),
	)
}

// CaptureError says what is wrong with a capture and what to do.
func CaptureError(name string, err error) error {
	hints := []struct {
		is   error
		hint string
	}{
		{pcap.ErrEmpty, "name a file that tcpdump -w or dumpcap wrote"},
		{pcap.ErrFormat, "name a pcap or pcapng file, gzipped or not"},
		{pcap.ErrLength, "the file is damaged: truncate it before that record, or capture again"},
		{pcap.ErrCut, "the file's header is incomplete: capture again"},
		{pcap.ErrLink, "capture on an Ethernet interface, on any, or on lo"},
		{replay.ErrNoPackets, "capture some traffic; supported link types: " + pcap.ReadableTypes()},
	}
	for _, h := range hints {
		if errors.Is(err, h.is) {
			return &Failure{Code: ExitUsage, What: name + ": " + err.Error(), Do: h.hint, Cause: err}
		}
	}
	return err
}

// WarnCapture says what of a capture was not used.
func (a *App) WarnCapture(name string, f replay.File) {
	if f.Cut != "" {
		fmt.Fprintf(a.Stderr, "lbctl: %s: %s; the packets before it are used\n", name, f.Cut)
	}
	for _, s := range f.Skipped {
		fmt.Fprintf(a.Stderr, "lbctl: %s: %s skipped: link type %s is not supported (supported are %s)\n",
			name, Many(int(s.Records), "record"), s.Link, pcap.ReadableTypes())
	}
	if f.AbsurdTimes > 0 {
		fmt.Fprintf(a.Stderr, "lbctl: %s: %s more than a year from the first packet: ignored\n", name, Many(int(f.AbsurdTimes), "time stamp"))
	}
}
