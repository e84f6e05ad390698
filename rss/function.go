package rss

import "fmt"

// Function is the function that makes 32 bits of a packet's fields. The values are the
// bit numbers of ETH_RSS_HASH_* in the kernel's include/linux/ethtool.h. The zero value
// is FunctionToeplitz.
type Function uint8

// The functions, as ethtool -X hfunc names them.
const (
	FunctionToeplitz Function = iota
	FunctionXOR
	FunctionCRC32
)

// FunctionNames returns the names that ParseFunction knows, in the order of the values.
func FunctionNames() []string { return []string{"toeplitz", "xor", "crc32"} }

// ParseFunction reads "toeplitz", "xor" or "crc32".
func ParseFunction(s string) (Function, error) {
	for i, name := range FunctionNames() {
		if s == name {
			return Function(i), nil
		}
	}
	return 0, fmt.Errorf("hash function %q: want one of %q", s, FunctionNames())
}

// String returns ethtool's name, or "function-9" for a value that has none.
func (f Function) String() string {
	if names := FunctionNames(); int(f) < len(names) {
		return names[f]
	}
	return fmt.Sprintf("function-%d", uint8(f))
}

// Keyed tells whether the function uses the RSS key. Where it does not, whoever knows
// the function can choose packets for one queue.
func (f Function) Keyed() bool { return f == FunctionToeplitz }
