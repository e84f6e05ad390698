package line

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// Write writes one message.
func Write(w io.Writer, m Message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	if _, err := w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	return nil
}

// Reader reads messages. Not safe for concurrent use.
type Reader struct{ lines *bufio.Scanner }

// maxLine bounds a message in bytes.
const maxLine = 1 << 20

// NewReader returns a reader of r.
func NewReader(r io.Reader) *Reader {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	return &Reader{lines}
}

// Read returns the next message; io.EOF when the other side hung up.
func (r *Reader) Read() (Message, error) {
	var m Message
	if !r.lines.Scan() {
		if err := r.lines.Err(); err != nil {
			return m, fmt.Errorf("read message: %w", err)
		}
		return m, io.EOF
	}
	if err := json.Unmarshal(r.lines.Bytes(), &m); err != nil {
		return m, fmt.Errorf("decode message %.80q: %w", r.lines.Bytes(), err)
	}
	return m, nil
}
