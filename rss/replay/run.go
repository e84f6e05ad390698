package replay

import (
	"context"
	"errors"
	"fmt"
	"io"

	"lbctl/rss/replay/pcap"
)

// Run replays a capture to its end and reports. A capture that is cut short gives what it
// holds, and the report says where it ends. Errors: those of pcap for a capture that is
// damaged, ErrNoPackets, that of ctx, and options that are not possible.
func Run(ctx context.Context, capture *pcap.Reader, o Options) (*Report, error) {
	r, err := New(o)
	if err != nil {
		return nil, err
	}
	file := File{Format: capture.Format()}
	var record pcap.Record
	for n := 0; ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		err := capture.Next(&record)
		if err == io.EOF {
			break
		}
		if errors.Is(err, pcap.ErrCut) {
			file.Cut = err.Error()
			break
		}
		if err == nil {
			err = r.Add(&record)
		}
		if err != nil {
			return nil, fmt.Errorf("replay capture: %w", err)
		}
	}
	for link, records := range capture.Skipped() {
		file.Skipped = append(file.Skipped, Skipped{Link: link.String(), Records: records})
	}
	return r.Report(file)
}

// ErrNoPackets: the capture holds no packet that can be read.
var ErrNoPackets = errors.New("no packet to replay")
