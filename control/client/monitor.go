package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"lbctl/control/api"
)

// Watched says which packets are sampled. The zero value is all.
type Watched struct {
	// Reasons are those that are wanted; none stands for all.
	Reasons []string
	// Service is the name of the one whose packets are wanted, "" for all and those of none.
	Service string
	// Every is N to sample one in N of these packets; 0 stands for 1.
	Every uint32
}

// Samples is a stream of samples, for one goroutine.
type Samples struct {
	ctx    context.Context
	body   io.Closer
	reader *bufio.Reader
	daemon string
}

// Monitor begins to watch, until ctx ends or the stream is closed.
func (c *Client) Monitor(ctx context.Context, w Watched) (*Samples, error) {
	query := url.Values{"reason": w.Reasons}
	if w.Service != "" {
		query.Set("service", w.Service)
	}
	if w.Every != 0 {
		query.Set("every", strconv.FormatUint(uint64(w.Every), 10))
	}
	response, err := c.send(ctx, http.MethodGet, "/v1/monitor?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	if err := problemOf(response); err != nil {
		response.Body.Close()
		return nil, err
	}
	return &Samples{ctx: ctx, body: response.Body, reader: bufio.NewReaderSize(response.Body, 1<<16), daemon: c.socket}, nil
}

// Next returns the next sample, and waits for it. Errors: the context's; ErrUnreachable when the daemon has
// ended the stream.
func (s *Samples) Next() (api.Sample, error) {
	for {
		line, err := s.reader.ReadSlice('\n')
		switch {
		case s.ctx.Err() != nil:
			return api.Sample{}, s.ctx.Err()
		case errors.Is(err, bufio.ErrBufferFull):
			return api.Sample{}, fmt.Errorf("read samples: %w", tooLarge())
		case errors.Is(err, io.EOF):
			return api.Sample{}, fmt.Errorf("read samples: %w on %s: it has ended the stream", ErrUnreachable, s.daemon)
		case err != nil:
			return api.Sample{}, fmt.Errorf("read samples: %w on %s: %w", ErrUnreachable, s.daemon, err)
		}
		// Other lines are empty or comments.
		if data, is := bytes.CutPrefix(line, []byte("data:")); is {
			var sample api.Sample
			if err := json.Unmarshal(data, &sample); err != nil {
				return sample, fmt.Errorf("read samples: %w", err)
			}
			return sample, nil
		}
	}
}

// Waiting reports whether another event has been received already.
func (s *Samples) Waiting() bool { return s.reader.Buffered() > 1 }

// Close ends the stream.
func (s *Samples) Close() error { return s.body.Close() }
