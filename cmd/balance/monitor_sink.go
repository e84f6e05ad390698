package balance

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/rss/replay/pcap"
)

// sampleSink writes samples; it may hold them back until flush.
type sampleSink interface {
	add(s api.Sample) error
	flush() error
	close() error
}

// newSampleSink opens a sink: a capture file if it is named, else stdout.
func newSampleSink(a *cli.App, file string, o cli.Format) (sampleSink, error) {
	switch {
	case file == "-":
		return newSampleCapture(a.Stdout, nil)
	case file != "":
		out, err := os.Create(file)
		if err != nil {
			return nil, fmt.Errorf("create capture: %w", err)
		}
		return newSampleCapture(out, out)
	case o == cli.FormatJSON:
		return newSampleJSON(a.Stdout), nil
	}
	return newSampleLines(a.Stdout), nil
}

// buffered is the output of a sink.
type buffered struct {
	out *bufio.Writer
	// file is closed at the end, unless it is nil.
	file io.Closer
}

func (b buffered) flush() error { return b.out.Flush() }

func (b buffered) close() error {
	err := b.out.Flush()
	if b.file != nil {
		err = errors.Join(err, b.file.Close())
	}
	return err
}

// sampleLines prints a line for each sample.
type sampleLines struct{ buffered }

const sampleLine = "%-27s  %-10s  %-6s  %-44s  %-18s  %-10s  %-20s  %6v\n"

func newSampleLines(out io.Writer) sampleLines {
	l := sampleLines{buffered{out: bufio.NewWriter(out)}}
	fmt.Fprintf(l.out, sampleLine, "TIME", "INTERFACE", "Q/CORE", "FLOW", "REASON", "SERVICE", "REPLICA", "LENGTH")
	return l
}

func (l sampleLines) add(s api.Sample) error {
	flow := "-"
	if s.Flow != nil {
		flow = cli.FlowText(*s.Flow)
	}
	_, err := fmt.Fprintf(l.out, sampleLine, sampleTime(s).Format("2006-01-02T15:04:05.000000Z07:00"),
		cmp.Or(s.Interface, fmt.Sprintf("#%d", s.IfIndex)), fmt.Sprintf("%d/%d", s.Queue, s.Core), flow, s.Reason,
		cmp.Or(s.ServiceName, s.VIP, "-"), cmp.Or(s.Replica, "-"), s.Length)
	return err
}

// sampleTime is the zero time where there is none.
func sampleTime(s api.Sample) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, s.Time)
	return t.UTC()
}

// sampleJSON prints a line of JSON for each sample.
type sampleJSON struct {
	buffered
	json cli.JSON
}

func newSampleJSON(out io.Writer) sampleJSON {
	b := bufio.NewWriter(out)
	return sampleJSON{buffered{out: b}, cli.JSONLines(b)}
}

func (j sampleJSON) add(s api.Sample) error { return j.json.Encode(s) }

// sampleCapture writes a capture file.
type sampleCapture struct {
	buffered
	pcap *pcap.Writer
}

func newSampleCapture(out io.Writer, file io.Closer) (sampleSink, error) {
	b := bufio.NewWriter(out)
	w, err := pcap.NewWriter(b)
	return sampleCapture{buffered{b, file}, w}, err
}

func (c sampleCapture) add(s api.Sample) error {
	said := []string{s.Reason}
	for _, more := range []string{cmp.Or(s.ServiceName, s.VIP), s.Replica} {
		if more != "" {
			said = append(said, more)
		}
	}
	return c.pcap.Write(pcap.Packet{
		Interface: s.Interface, Time: sampleTime(s), Frame: s.Frame, Length: s.Length, Queue: uint32(s.Queue),
		Comment: strings.Join(said, " "),
	})
}
