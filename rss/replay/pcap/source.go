package pcap

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
)

const (
	// bufferSize is the size of a read: enough for any record, and large enough to make the cost of system calls
	// small.
	bufferSize = 1 << 20
	// headroom is kept free in front of what is buffered, for an Ethernet header.
	headroom = 16
)

// source is a stream with a window over it. What take returns stays valid, and may be
// written to along with headroom bytes before it, until the next take or skip.
type source struct {
	r io.Reader
	// buf[start:end] was read and not taken; buf[start] is at offset in the stream.
	buf        []byte
	start, end int
	offset     int64
	err        error
}

func newSource(r io.Reader) *source {
	return &source{r: r, buf: make([]byte, bufferSize), start: headroom, end: headroom}
}

// take returns the next n bytes, n at most bufferSize-headroom. When there are fewer it
// takes none and returns io.EOF if there are none at all, else io.ErrUnexpectedEOF, or the
// error of the stream.
func (s *source) take(n int) ([]byte, error) {
	if s.end-s.start < n {
		if err := s.fill(n); err != nil {
			return nil, err
		}
	}
	b := s.buf[s.start : s.start+n : s.start+n]
	s.start += n
	s.offset += int64(n)
	return b, nil
}

// peek returns up to n bytes and does not consume them.
func (s *source) peek(n int) []byte {
	if s.end-s.start < n {
		_ = s.fill(n) // take returns the error
	}
	return s.buf[s.start:min(s.start+n, s.end)]
}

// fill reads until n bytes are there.
func (s *source) fill(n int) error {
	s.end = headroom + copy(s.buf[headroom:], s.buf[s.start:s.end])
	s.start = headroom
	for s.end-s.start < n && s.err == nil {
		var read int
		read, s.err = s.r.Read(s.buf[s.end:])
		s.end += read
	}
	switch {
	case s.end-s.start >= n:
		return nil
	case s.err == io.EOF && s.end == s.start:
		return io.EOF
	case s.err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return s.err
}

// skip skips n bytes. Errors are those of take.
func (s *source) skip(n int64) error {
	for n > 0 {
		if s.start == s.end {
			if err := s.fill(1); err != nil {
				return err
			}
		}
		step := min(n, int64(s.end-s.start))
		s.start += int(step)
		s.offset += step
		n -= step
	}
	return nil
}

// cut tells whether an error of take means that the stream ended too early, a gzip
// stream included.
func cut(err error) bool { return err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) }

// tail is the rest of a source as a reader. It is an io.ByteReader too, so that
// gzip does not buffer again.
type tail struct{ *source }

// Read implements io.Reader.
func (t *tail) Read(p []byte) (int, error) {
	if t.start == t.end {
		if err := t.fill(1); err != nil {
			return 0, err
		}
	}
	n := copy(p, t.buf[t.start:t.end])
	t.start += n
	return n, nil
}

// ReadByte implements io.ByteReader.
func (t *tail) ReadByte() (byte, error) {
	if t.start == t.end {
		if err := t.fill(1); err != nil {
			return 0, err
		}
	}
	t.start++
	return t.buf[t.start-1], nil
}

// damaged tells whether an error says that a gzip stream is not one.
func damaged(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.As(err, &corrupt)
}
