// Package journal is a file of JSON values, one a line: what the processes of a
// testbed write and the experiment reads.
package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Journal appends values of one type to a file. Lines are buffered: the file is complete
// after Close. Safe for concurrent use.
type Journal[T any] struct {
	mu     sync.Mutex
	file   *os.File
	buffer *bufio.Writer
	encode *json.Encoder
	err    error
}

// Create makes the file, or empties it.
func Create[T any](path string) (*Journal[T], error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	b := bufio.NewWriterSize(f, 1<<16)
	return &Journal[T]{file: f, buffer: b, encode: json.NewEncoder(b)}, nil
}

// Append writes one line. Errors are kept for Close.
func (j *Journal[T]) Append(value T) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.encode.Encode(value); err != nil && j.err == nil {
		j.err = fmt.Errorf("write journal %s: %w", j.file.Name(), err)
	}
}

// Close completes the file. Its error is the first of all.
func (j *Journal[T]) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return errors.Join(j.err, j.buffer.Flush(), j.file.Close())
}

// Read returns all lines of a journal. A field that T does not have is an error, and so is half a line.
func Read[T any](path string) ([]T, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	defer f.Close()
	decode := json.NewDecoder(bufio.NewReaderSize(f, 1<<16))
	decode.DisallowUnknownFields()
	var all []T
	for {
		var value T
		err := decode.Decode(&value)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, fmt.Errorf("read journal %s, value %d: %w", path, len(all)+1, err)
		}
		all = append(all, value)
	}
}
