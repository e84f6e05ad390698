package rss

import (
	"bytes"
	"encoding/hex"
)

// microsoft is the key of Microsoft's "Verifying the RSS Hash Calculation", for
// which the hashes of some flows are published; many drivers use it as their default.
const microsoft = "6d5a56da255b0ec24167253d43a38fb0" +
	"d0ca2bcbae7b30b477cb2da38030f20c" +
	"6a42b73bbeac01fa"

// Named returns a well-known key by its name:
//
//	ms         the verification key of Microsoft
//	symmetric  6d5a repeated: both directions of a flow have the same hash
//	           (Woo and Park, "Scalable TCP Session Monitoring with Symmetric RSS", KAIST 2012)
//
// The key is the caller's own copy.
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
