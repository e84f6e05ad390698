package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"lbctl/rss/packet"
)

// connection sends one request at a time.
type connection interface {
	// ask sends a request and returns the answer, valid until the next ask. After an error the
	// connection is unusable.
	ask(timeout time.Duration) ([]byte, error)
	Close() error
}

// dial connects to a target.
func (c *clients) dial(ctx context.Context, to netip.Addr) (connection, error) {
	ctx, cancel := context.WithTimeout(ctx, c.job.Timeout)
	defer cancel()
	at := netip.AddrPortFrom(to, c.job.Work.Port)
	d := net.Dialer{KeepAlive: -1} // probes would be packets that no request explains
	if c.job.Work.Protocol == packet.UDP {
		conn, err := d.DialContext(ctx, "udp", at.String())
		if err != nil {
			return nil, err
		}
		return &datagrams{Conn: conn, question: c.body, buffer: make([]byte, maxDatagram)}, nil
	}
	conn, err := d.DialContext(ctx, "tcp", at.String())
	if err != nil {
		return nil, err
	}
	question := fmt.Sprintf("GET /objects/0 HTTP/1.1\r\nHost: %v\r\n\r\n", at)
	return &stream{Conn: conn, question: []byte(question), reader: bufio.NewReader(conn), buffer: make([]byte, c.job.Work.Bytes)}, nil
}

// stream speaks only as much HTTP/1.1 as it needs, so that clients use little CPU time.
type stream struct {
	net.Conn
	question []byte
	reader   *bufio.Reader
	buffer   []byte
}

func (s *stream) ask(timeout time.Duration) ([]byte, error) {
	if err := s.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, fmt.Errorf("set deadline: %w", err)
	}
	if _, err := s.Write(s.question); err != nil {
		return nil, fmt.Errorf("send request: %w", err)
	}
	length, err := s.head()
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if length != len(s.buffer) {
		return nil, fmt.Errorf("read answer: %d bytes announced, want %d", length, len(s.buffer))
	}
	if _, err := io.ReadFull(s.reader, s.buffer); err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	return s.buffer, nil
}

// head reads the status, which must be 200, and the header fields, and returns the body's length.
func (s *stream) head() (length int, err error) {
	for first := true; ; first = false {
		line, err := s.reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		if first && !strings.HasPrefix(text, "HTTP/1.1 200 ") {
			return 0, fmt.Errorf("status %q, want 200", text)
		}
		if text == "" {
			return length, nil
		}
		if name, value, _ := strings.Cut(text, ":"); strings.EqualFold(name, "Content-Length") {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return 0, fmt.Errorf("length %q: want a number", value)
			}
		}
	}
}

// datagrams sends datagrams that the server sends back.
type datagrams struct {
	net.Conn
	question, buffer []byte
}

func (d *datagrams) ask(timeout time.Duration) ([]byte, error) {
	if err := d.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, fmt.Errorf("set deadline: %w", err)
	}
	if _, err := d.Write(d.question); err != nil {
		return nil, fmt.Errorf("send datagram: %w", err)
	}
	n, err := d.Read(d.buffer)
	if err != nil {
		return nil, fmt.Errorf("read datagram: %w", err)
	}
	return d.buffer[:n], nil
}
