// Package client talks to a daemon: over its unix socket, or over TCP with TLS.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"time"

	"lbctl/control/api"
	"lbctl/lb"
)

// ErrUnreachable: no daemon answers there.
var ErrUnreachable = errors.New("daemon unreachable")

// DefaultSocket is where the daemon listens when it is not told otherwise.
const DefaultSocket = "/run/lbctl/lbctl.sock"

// Client talks to one daemon. It is safe for concurrent use. The zero value is not
// usable: see New.
type Client struct {
	// place is where the daemon is, for errors; base begins its URLs.
	place, base string
	// wrong is why no call can be made, token what every call has; nil and "" for none.
	wrong error
	token string
	http  *http.Client
	// most is the size of the largest answer that is read, in bytes.
	most int64
}

// New returns a client of the daemon that listens on a unix socket. It does not connect.
func New(socket string) *Client {
	// The host of the URL is not used: the connection goes to the socket.
	return &Client{place: socket, base: "http://lbctl", most: maxAnswer, http: &http.Client{
		Transport: &http.Transport{DialContext: dialUnix(socket), IdleConnTimeout: 10 * time.Second},
	}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call sends in (nil for no body) and fills out. Errors: ErrUnreachable; lb.ErrDenied when the
// socket may not be used; an *Error when the daemon refuses; the context's.
func (c *Client) call(ctx context.Context, method, path string, in, out any, headers ...string) (http.Header, error) {
	response, err := c.send(ctx, method, path, in, headers...)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return response.Header, c.read(response, out)
}

// Page returns what there is under a path that is no JSON, at most so many bytes of it. Errors: those of call.
func (c *Client) Page(ctx context.Context, path string, most int64) (text []byte, err error) {
	err = c.take(ctx, path, func(body io.Reader) error {
		text, err = io.ReadAll(io.LimitReader(body, most))
		return err
	})
	return text, err
}

// Copy writes the JSON under a path as it comes. With an error a part of it may have been written. Errors: those of call.
func (c *Client) Copy(ctx context.Context, path string, to io.Writer) error {
	return c.take(ctx, path, func(body io.Reader) error {
		_, err := io.Copy(to, &bounded{body, c.most})
		return err
	})
}

// take gets what there is under a path, for read to read.
func (c *Client) take(ctx context.Context, path string, read func(io.Reader) error) error {
	response, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := problemOf(response); err != nil {
		return err
	}
	if err := read(response.Body); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}

// send sends in (nil for no body) and returns the answer, whatever it is.
func (c *Client) send(ctx context.Context, method, path string, in any, headers ...string) (*http.Response, error) {
	if c.wrong != nil {
		return nil, c.wrong
	}
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return response, nil
}

// unreachable says why a request got no answer.
func (c *Client) unreachable(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("connect to %s: %w", c.place, lb.ErrDenied)
	}
	if denied := c.refused(err); denied != nil {
		return denied
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("%w on %s: %w", ErrUnreachable, c.place, err)
}

// read fills out from an answer, or returns the problem that it is.
func (c *Client) read(response *http.Response, out any) error {
	if err := problemOf(response); err != nil {
		return err
	}
	if err := json.NewDecoder(&bounded{response.Body, c.most}).Decode(out); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}

const (
	// maxAnswer is the size of the largest answer that is read, in bytes: twice the largest body that the daemon takes.
	maxAnswer = 256 << 20
	// maxProblem is that of a refusal, which lists at most a hundred problems.
	maxProblem = 1 << 20
)

// errTooLarge: an answer has no end in sight.
var errTooLarge = errors.New("it is too large")

// bounded reads an answer up to a size, and fails beyond.
type bounded struct {
	from io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLarge()
	}
	return n, err
}

func tooLarge() error {
	return &hinted{errTooLarge, "is it an lbctl daemon that listens there?"}
}

// problemOf returns the problem that an answer is, nil if it is none.
func problemOf(response *http.Response) error {
	if response.StatusCode/100 == 2 {
		return nil
	}
	p := &api.Problem{}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxProblem)).Decode(p); err != nil || p.Detail == "" {
		p = &api.Problem{Detail: response.Status, Hint: "is it an lbctl daemon that listens there?"}
	}
	p.Status = response.StatusCode
	return &Error{Problem: *p}
}

// hinted is an error of the client itself, and what to do about it.
type hinted struct {
	error
	hint string
}

// Hint says what to do.
func (h *hinted) Hint() string { return h.hint }

// Unwrap returns the cause.
func (h *hinted) Unwrap() error { return h.error }

// Error is a refusal of the daemon. It wraps the error of package lb that belongs to its status.
type Error struct{ Problem api.Problem }

// Error returns the daemon's words.
func (e *Error) Error() string { return e.Problem.Detail }

// Hint returns what the daemon says to do.
func (e *Error) Hint() string { return e.Problem.Hint }

// Unwrap returns the cause; nil when the daemon itself is at fault.
func (e *Error) Unwrap() error {
	switch e.Problem.Status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		return lb.ErrInvalid
	case http.StatusNotFound:
		return lb.ErrNotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return lb.ErrConflict
	case http.StatusForbidden, http.StatusUnauthorized:
		return lb.ErrDenied
	case http.StatusInsufficientStorage:
		return lb.ErrFull
	case http.StatusNotImplemented:
		return lb.ErrUnsupported
	}
	return nil
}
