package rss

import (
	"hash/crc32"
	"testing"

	"pgregory.net/rapid"
)

func TestFunctionNames(t *testing.T) {
	for i, name := range []string{"toeplitz", "xor", "crc32"} { // ETH_RSS_HASH_TOP_BIT, _XOR_BIT, _CRC32_BIT are 0, 1, 2
		f, err := ParseFunction(name)
		if err != nil || f != Function(i) || f.String() != name {
			t.Errorf("ParseFunction(%q) = %v, %v; want %d", name, f, err, i)
		}
	}
	for _, s := range []string{"", "TOEPLITZ", "top", "crc"} {
		if f, err := ParseFunction(s); err == nil {
			t.Errorf("ParseFunction(%q) = %v, want an error", s, f)
		}
	}
	if got := Function(9).String(); got != "function-9" {
		t.Errorf("String = %q", got)
	}
	if !FunctionToeplitz.Keyed() || FunctionXOR.Keyed() || FunctionCRC32.Keyed() {
		t.Error("toeplitz has a key, the others have none")
	}
}

func TestXOR(t *testing.T) {
	for _, c := range []struct {
		input      []byte
		xor, bytes uint32
	}{
		{nil, 0, 0},
		{[]byte{0x12}, 0x12000000, 0x12},
		{[]byte{1, 2, 3, 4}, 0x01020304, 4},
		{[]byte{192, 0, 2, 1, 198, 51, 100, 1, 0x04, 0xd2, 0, 80}, 0x02e16650, 0x02 ^ 0xe1 ^ 0x66 ^ 0x50},
	} {
		if XOR(c.input) != c.xor || XOR8(c.input) != c.bytes {
			t.Errorf("% x: XOR = %#08x, XOR8 = %#x; want %#08x, %#x", c.input, XOR(c.input), XOR8(c.input), c.xor, c.bytes)
		}
	}
}

// The check value is that of the CRC catalogues for "123456789" (CRC-32/ISO-HDLC).
func TestCRC32(t *testing.T) {
	if got := CRC32([]byte("123456789")); got != 0xcbf43926 {
		t.Errorf("CRC32 = %#08x, want 0xcbf43926", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		input := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "input")
		if got, want := CRC32(input), crc32.ChecksumIEEE(input); got != want {
			t.Errorf("CRC32 = %#08x, want %#08x", got, want)
		}
	})
}
