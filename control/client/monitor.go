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
	// Source and Destination are prefixes or addresses, Destination also with a port; Port is that of either end. "" and 0 stand for all.
	Source, Destination string
	Port                uint16
	Protocol            string
	// Every is N to sample one in N of these packets; 0 stands for 1.
	Every uint32
}

// Samples is a stream of samples, for one goroutine.
type Samples = stream[api.Sample]

// stream is one of server-sent events.
type stream[T any] struct {
	ctx    context.Context
	body   io.Closer
	reader *bufio.Reader
	daemon string
	what   string
}

// Monitor begins to watch, until ctx ends or the stream is closed.
func (c *Client) Monitor(ctx context.Context, w Watched) (*Samples, error) {
	query := url.Values{"reason": w.Reasons}
	for name, value := range map[string]string{"service": w.Service, "source": w.Source, "destination": w.Destination, "protocol": w.Protocol} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if w.Port != 0 {
		query.Set("port", strconv.Itoa(int(w.Port)))
	}
	if w.Every != 0 {
		query.Set("every", strconv.FormatUint(uint64(w.Every), 10))
	}
	return open[api.Sample](ctx, c, "samples", "/v1/monitor?"+query.Encode())
}

// open asks for a stream.
func open[T any](ctx context.Context, c *Client, what, path string, headers ...string) (*stream[T], error) {
	response, err := c.send(ctx, http.MethodGet, path, nil, headers...)
	if err != nil {
		return nil, err
	}
	if err := problemOf(response); err != nil {
		response.Body.Close()
		return nil, err
	}
	return &stream[T]{ctx: ctx, body: response.Body, reader: bufio.NewReaderSize(response.Body, 1<<16), daemon: c.place, what: what}, nil
}

// errEnded: the daemon has ended the stream.
var errEnded = errors.New("it has ended the stream")

// Next returns the next event, and waits for it. Errors: the context's; ErrUnreachable when the daemon has
// ended the stream.
func (s *stream[T]) Next() (event T, err error) {
	for {
		line, err := s.reader.ReadSlice('\n')
		switch {
		case s.ctx.Err() != nil:
			return event, s.ctx.Err()
		case errors.Is(err, bufio.ErrBufferFull):
			return event, fmt.Errorf("read %s: %w", s.what, tooLarge())
		case errors.Is(err, io.EOF):
			return event, fmt.Errorf("read %s: %w on %s: %w", s.what, ErrUnreachable, s.daemon, errEnded)
		case err != nil:
			return event, fmt.Errorf("read %s: %w on %s: %w", s.what, ErrUnreachable, s.daemon, err)
		}
		// Other lines are empty, comments, or say again what the data says.
		if data, is := bytes.CutPrefix(line, []byte("data:")); is {
			if err := json.Unmarshal(data, &event); err != nil {
				return event, fmt.Errorf("read %s: %w", s.what, err)
			}
			return event, nil
		}
	}
}

// Waiting reports whether another event has been received already.
func (s *stream[T]) Waiting() bool { return s.reader.Buffered() > 1 }

// Close ends the stream.
func (s *stream[T]) Close() error { return s.body.Close() }
