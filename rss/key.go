package rss

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
)

// The lengths of a key in bytes. 40 is what Microsoft asks for: enough for an
// IPv6 4-tuple. Hardware has 40 (most), 52 (i40e, ice) and more.
const (
	MinKeyLength = 40
	MaxKeyLength = 256
)

// Key is the secret of the Toeplitz hash: MinKeyLength to MaxKeyLength bytes.
// Zero bits follow its end, so a key of n bytes hashes n-4 bytes of
// input fully, the next 4 in part, and ignores the rest.
type Key []byte

// Validate returns an error when the key's length is out of range.
func (k Key) Validate() error {
	if len(k) < MinKeyLength || len(k) > MaxKeyLength {
		return fmt.Errorf("rss key of %d bytes: want %d to %d", len(k), MinKeyLength, MaxKeyLength)
	}
	return nil
}

// String returns the key as ethtool -x prints it: "6d:5a:56:...".
func (k Key) String() string {
	var s strings.Builder
	for i, b := range k {
		if i > 0 {
			s.WriteByte(':')
		}
		fmt.Fprintf(&s, "%02x", b)
	}
	return s.String()
}

// microsoft is the key of Microsoft's "Verifying the RSS Hash Calculation", for
// which the hashes of some flows are published; many drivers use it as their default.
const microsoft = "6d5a56da255b0ec24167253d43a38fb0" +
	"d0ca2bcbae7b30b477cb2da38030f20c" +
	"6a42b73bbeac01fa"

// Named returns a copy of a well-known key by its name:
//
//	ms         the verification key of Microsoft
//	symmetric  6d5a repeated: both directions of a flow have the same hash
//	           (Woo and Park, "Scalable TCP Session Monitoring with Symmetric RSS", KAIST 2012)
func Named(name string) (Key, bool) {
	switch name {
	case "ms":
		k, err := hex.DecodeString(microsoft)
		return k, err == nil
	case "symmetric":
		return bytes.Repeat([]byte{0x6d, 0x5a}, MinKeyLength/2), true
	}
	return nil, false
}

// KeyNames returns the names that Named knows.
func KeyNames() []string { return []string{"ms", "symmetric"} }

// MicrosoftKey returns a copy of the key that Named calls "ms".
func MicrosoftKey() Key {
	k, _ := Named("ms")
	return k
}
