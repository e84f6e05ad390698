// Package line is the protocol on the serial line between a test and its guest: one JSON message a
// line.
package line

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/rss/packet"
)

// Message is one line: exactly one of its fields is set.
type Message struct {
	Hello *Hello `json:"hello,omitempty"`
	// Change is the host's, Settings are the guest's answer to it.
	Change   *Change   `json:"change,omitempty"`
	Settings *Settings `json:"settings,omitempty"`
	// Seen is sent without a request.
	Seen []Sighting `json:"seen,omitempty"`
	// Run is the host's, Ran the guest's answer to it.
	Run Command `json:"run,omitempty"`
	Ran *Ran    `json:"ran,omitempty"`
	// Order is the host's, Answer the guest's answer to it, both of an experiment's own shape.
	Order  json.RawMessage `json:"order,omitempty"`
	Answer json.RawMessage `json:"answer,omitempty"`
	// Failed says why the guest could not do what it was told.
	Failed string `json:"failed,omitempty"`
}

// Hello is the guest's first message: it is up, and this is its NIC before anything was set.
type Hello struct {
	Kernel   string     `json:"kernel"`
	MAC      packet.MAC `json:"mac"`
	Settings Settings   `json:"settings"`
}

// Change is what the guest is to do with its NIC, in this order.
type Change struct {
	// Queues is the number of queue pairs in use: ethtool -L combined.
	Queues int `json:"queues"`
	// Hash is whether the NIC hashes packets and hands the hash to the driver: ethtool -K rxhash.
	Hash bool `json:"hash"`
	// RSS is ethtool -N and -X.
	RSS ethtool.Change `json:"rss"`
}

// Settings are what the guest's driver says of its NIC.
type Settings struct {
	Hash bool             `json:"hash"`
	RSS  ethtool.Settings `json:"rss"`
}

// Sighting is a frame that the guest received.
type Sighting struct {
	// Tag is the frame's last four bytes, big-endian.
	Tag   uint32    `json:"t"`
	Queue rss.Queue `json:"q"`
	// Hash is what the NIC reported, 0 without one.
	Hash uint32 `json:"h"`
}

// Command is a program that a guest runs: its path, and its arguments.
type Command []string

// Ran says what became of a command.
type Ran struct {
	// Output is what it wrote, to either end.
	Output string `json:"output"`
	// Failed says how it failed, nothing if it did not.
	Failed string `json:"failed,omitempty"`
}

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
