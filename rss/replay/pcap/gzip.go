package pcap

import (
	"compress/flate"
	"compress/gzip"
	"errors"
)

// tail is what is left of a source, as a reader. It is an io.ByteReader too, so that
// gzip does not buffer once more.
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
