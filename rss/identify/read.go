package identify

import (
	"bytes"
	"fmt"
	"io"
)

// maxFile is the size in bytes of the longest file that is read.
const maxFile = 64 << 20

// Columns are the names of what an observation has in a file:
//
//	src, dst             address and port (192.0.2.1:80, [2001:db8::1]:80); only the address if there are no ports
//	protocol             tcp, udp, another name or a number; tcp if there are ports and it is left out
//	inner_src, inner_dst, inner_protocol
//	                     the same of the packet in a tunnel
//	input                in place of all these: the bytes that are hashed, in hexadecimal
//	hash                 the NIC's hash: 0x51ccc178, or decimal
//	queue                the receive queue
func Columns() []string {
	return []string{"src", "dst", "protocol", "inner_src", "inner_dst", "inner_protocol", "input", "hash", "queue"}
}

// Read reads observations: JSON, an array of objects or one object after another, or CSV with a line of
// names first and # before comments. Columns are the names. Which of the two it is, the first character says.
//
// Errors name the line, on which the observation begins. Unknown names are errors.
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
		return nil, fmt.Errorf("read observations: nothing there")
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

// add appends the observation that a record says.
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
