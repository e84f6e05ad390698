package pcap

import (
	"errors"
	"fmt"
)

// What can be wrong with a capture. Errors of this package wrap one of these and say
// where: the offset in bytes from the start of the (unpacked) file.
var (
	// ErrEmpty: the file has no bytes.
	ErrEmpty = errors.New("file is empty")
	// ErrFormat: the file is no capture, or breaks the rules of its format.
	ErrFormat = errors.New("not a capture")
	// ErrLength: a length in the file cannot be meant.
	ErrLength = errors.New("absurd length")
	// ErrCut: the file ends in the middle of a record or header. What came before is good.
	ErrCut = errors.New("capture is cut short")
	// ErrLink: the link layer is not one of those that are read.
	ErrLink = errors.New("link type not read")
)

func fault(kind error, offset int64, what string, args ...any) error {
	return fmt.Errorf("%w at byte %d: %s", kind, offset, fmt.Sprintf(what, args...))
}

// errResolution is the error of a clock that does not exist.
type errResolution byte

func (r errResolution) Error() string {
	return fmt.Sprintf("time stamps of resolution %#02x: want a power of 10 up to 19 or of 2 up to 63", byte(r))
}
