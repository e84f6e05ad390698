package store

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The file is a header and, behind it, a line of JSON for every revision: a record. Behind those is room, of
// zeros or of a revision that was not finished.
//
// The header is overwritten by one write of less than a disk's sector, after what it counts has reached the
// disk. It counts and sums up all of the file that is valid: a file that is cut short anywhere, a bit that has
// turned, a write that was lost cannot be taken for an older state.
type header struct {
	// format is oldest to format.
	format   int
	revision uint64
	// end is where the records end, size that of the file, in bytes.
	end, size int64
	// sum is the CRC-32C of the records.
	sum uint32
}

// headerSize is where the records begin.
const headerSize = 512

// format is what the header calls this format. Format 6 is the same without pools, and format 5 also without overrides: both are
// read, and become this one with the next revision. Who knows them alone would read this one and forget what they lack, so it
// must not. Formats 1 to 4 were bbolt files: see bolt.go.
const (
	format = 7
	oldest = 5
)

const headerText = "lbctl state %d revision %d end %d size %d records %08x"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (h header) encode() []byte {
	text := fmt.Sprintf(headerText, h.format, h.revision, h.end, h.size, h.sum)
	text += fmt.Sprintf(" header %08x\n", crc32.Checksum([]byte(text), castagnoli))
	return append([]byte(text), make([]byte, headerSize-len(text))...)
}

// with returns the header after a record was added at the end.
func (h header) with(revision uint64, record []byte) header {
	h.format, h.revision, h.end, h.sum = format, revision, h.end+int64(len(record)), crc32.Update(h.sum, castagnoli, record)
	return h
}

// decode reads a header. The error says what is wrong with it.
func decode(block []byte) (h header, err error) {
	first, _, found := bytes.Cut(block, []byte("\n"))
	_, err = fmt.Sscanf(string(first), headerText, &h.format, &h.revision, &h.end, &h.size, &h.sum)
	switch {
	case err == nil && (h.format < oldest || h.format > format):
		return h, fmt.Errorf("format %d: this program knows %d to %d", h.format, oldest, format)
	case err != nil || !found || !bytes.HasPrefix(h.encode(), block[:len(first)+1]):
		return h, errors.New("no valid header")
	}
	return h, nil
}

// verify returns the header of a file that is valid as a whole. Otherwise the error wraps errDamaged and says
// what is wrong, or is the disk's.
func verify(f handle) (header, error) {
	info, err := f.Stat()
	if err != nil {
		return header{}, err
	}
	block := make([]byte, headerSize)
	n, err := f.ReadAt(block, 0)
	if err != nil && err != io.EOF {
		return header{}, err
	}
	h, err := decode(block[:n])
	if err != nil {
		return h, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if info.Size() != h.size || h.end > h.size || h.end < headerSize {
		return h, fmt.Errorf("%w: it has %d bytes where the header says %d", errDamaged, info.Size(), h.size)
	}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, io.NewSectionReader(f, headerSize, h.end-headerSize)); err != nil {
		return h, err
	}
	if sum.Sum32() != h.sum {
		return h, fmt.Errorf("%w: the checksum of the records is %08x where the header says %08x", errDamaged, sum.Sum32(), h.sum)
	}
	return h, nil
}

// records returns the lines of a verified file, without their ends.
func records(f handle, h header) ([][]byte, error) {
	text := make([]byte, h.end-headerSize)
	if _, err := f.ReadAt(text, headerSize); err != nil {
		return nil, err
	}
	return bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")), nil
}
