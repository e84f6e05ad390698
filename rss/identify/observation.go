package identify

import (
	"bytes"
	"fmt"
	"io"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// MaxObservations is the most observations that are accepted.
const MaxObservations = 1 << 16

// MaxInput is the length in bytes of the longest raw input, which the longest key can hash.
const MaxInput = rss.MaxKeyLength - 4

// Observation is one packet with the hash or the queue that the NIC gave it.
type Observation struct {
	// Flow is the packet's flow, that of the outermost header if it is in a tunnel. Ports are 0 for protocols without.
	Flow packet.Flow
	// Inner is the flow in the tunnel; the zero value if there is none.
	Inner packet.Flow
	// Input are the bytes that are hashed, if they are known, instead of Flow and Inner.
	Input []byte
	// Hash is the NIC's, if HasHash.
	Hash    uint32
	HasHash bool
	// Queue is the receive queue, if HasQueue.
	Queue    rss.Queue
	HasQueue bool
	// Line is the line of the observation in its file, from 1; 0 if it is not from a file.
	Line int
}

// subject identifies the packet of an observation.
type subject struct {
	flow, inner packet.Flow
	input       string
}

func (o *Observation) subject() subject { return subject{o.Flow, o.Inner, string(o.Input)} }

// validate returns an error when an observation is incomplete or contradicts itself.
func (o *Observation) validate() error {
	switch {
	case !o.HasHash && !o.HasQueue:
		return fmt.Errorf("neither hash nor queue")
	case o.Input != nil && (o.Flow != packet.Flow{} || o.Inner != packet.Flow{}):
		return fmt.Errorf("both a tuple and a raw input")
	case o.Input != nil && (len(o.Input) == 0 || len(o.Input) > MaxInput):
		return fmt.Errorf("input of %d bytes: want 1 to %d", len(o.Input), MaxInput)
	case o.Input != nil:
		return nil
	}
	if err := validateFlow(o.Flow); err != nil {
		return err
	}
	if o.Inner != (packet.Flow{}) {
		return validateFlow(o.Inner)
	}
	return nil
}

func validateFlow(f packet.Flow) error {
	s, d := f.Source.Addr(), f.Destination.Addr()
	if !s.IsValid() || !d.IsValid() {
		return fmt.Errorf("a tuple without addresses")
	}
	if s.Is4() != d.Is4() {
		return fmt.Errorf("%v to %v: want both of one address family", s, d)
	}
	return nil
}

// class names a class of packets that a NIC may have other hash fields for: "tcp4", "udp6", "ip4" for those without
// ports, or "input".
func class(f packet.Flow, input []byte) string {
	if input != nil {
		return "input"
	}
	name := withoutPorts
	if hasPorts(f) {
		name = f.Protocol.String()
	}
	if f.Source.Addr().Is4() {
		return name + "4"
	}
	return name + "6"
}

// withoutPorts is the prefix of classes without ports.
const withoutPorts = "ip"

func hasPorts(f packet.Flow) bool {
	return f.Protocol.HasPorts() || f.Source.Port() != 0 || f.Destination.Port() != 0
}

// maxFile is the size in bytes of the largest file that is read.
const maxFile = 64 << 20

// Columns are the names of the values of an observation in a file:
//
//	src, dst             address and port (192.0.2.1:80, [2001:db8::1]:80); only the address if there are no ports
//	protocol             tcp, udp, another name or a number; default tcp if there are ports
//	inner_src, inner_dst, inner_protocol
//	                     the same for the packet in a tunnel
//	input                instead of all these: the bytes that are hashed, in hexadecimal
//	hash                 the NIC's hash: 0x51ccc178, or decimal
//	queue                the receive queue
func Columns() []string {
	return []string{"src", "dst", "protocol", "inner_src", "inner_dst", "inner_protocol", "input", "hash", "queue"}
}

// Read reads observations as JSON, an array of objects or one object after another, or as CSV with a line of
// names first and # before comments. Columns has the names. JSON begins with a bracket or brace.
//
// Errors name the line where the observation begins. Unknown names are errors.
func Read(r io.Reader) ([]Observation, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read observations: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("read observations: more than %d MiB", maxFile>>20)
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	content := bytes.TrimSpace(text)
	if len(content) == 0 {
		return nil, fmt.Errorf("read observations: the input is empty")
	}
	read := readCSV
	if content[0] == '[' || content[0] == '{' {
		read = readJSON
	}
	all, err := read(text)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("read observations: there are none")
	}
	return all, nil
}

// add appends the observation of a record.
func add(all []Observation, line int, r *record) ([]Observation, error) {
	if len(all) == MaxObservations {
		return nil, fmt.Errorf("line %d: more than %d observations", line, MaxObservations)
	}
	o, err := r.observation()
	if err == nil {
		err = o.validate()
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", line, err)
	}
	o.Line = line
	return append(all, o), nil
}
