package rss

import (
	"bytes"
	"strings"
	"testing"
)

// What ethtool -x prints for this key.
const microsoftColons = "6d:5a:56:da:25:5b:0e:c2:41:67:25:3d:43:a3:8f:b0:d0:ca:2b:cb:ae:7b:30:b4:77:cb:2d:a3:80:30:f2:0c:6a:42:b7:3b:be:ac:01:fa"

func TestParseKey(t *testing.T) {
	plain := strings.ReplaceAll(microsoftColons, ":", "")
	for _, c := range []struct {
		name, in string
		want     Key // nil: an error
	}{
		{"colons", microsoftColons, MicrosoftKey()},
		{"plain", plain, MicrosoftKey()},
		{"upper case", strings.ToUpper(plain), MicrosoftKey()},
		{"name", "ms", MicrosoftKey()},
		{"symmetric", "symmetric", bytes.Repeat([]byte{0x6d, 0x5a}, 20)},
		{"longest", strings.Repeat("0f", MaxKeyLength), bytes.Repeat([]byte{0x0f}, MaxKeyLength)},
		{"empty", "", nil},
		{"unknown name", "microsoft", nil},
		{"a byte short", plain[2:], nil},
		{"a byte long", strings.Repeat("0f", MaxKeyLength+1), nil},
		{"half a byte", plain + "a", nil},
		{"not hexadecimal", "xx" + plain, nil},
		{"a colon missing", strings.Replace(microsoftColons, ":", "", 1), nil},
		{"a colon at the end", microsoftColons + ":", MicrosoftKey()},
		{"colons between digits", strings.Join(strings.Split(plain, ""), ":"), nil},
		{"a space", plain + " ", MicrosoftKey()},
		{"bytes", strings.ReplaceAll(microsoftColons, ":", " "), MicrosoftKey()},
		{"short bytes", "6d:5a:56:da:25:5b:e:c2:41:67:25:3d:43:a3:8f:b0:d0:ca:2b:cb:ae:7b:30:b4:77:cb:2d:a3:80:30:f2:c:6a:42:b7:3b:be:ac:1:fa", MicrosoftKey()},
		{"0x bytes", "0x" + strings.ReplaceAll(microsoftColons, ":", ", 0x"), MicrosoftKey()},
		{"0x bytes, short", "0x" + strings.ReplaceAll(strings.ReplaceAll(microsoftColons, ":0", ":"), ":", ",0x"), MicrosoftKey()},
		{"one 0x", "0x" + plain, MicrosoftKey()},
		{"words", wordsOf(plain, 8, "", " "), MicrosoftKey()},
		{"0x words", wordsOf(plain, 8, "0x", ", "), MicrosoftKey()},
		{"0x words of C", wordsOf(plain, 8, "0X", "U, ") + "UL", MicrosoftKey()},
		{"halves", wordsOf(plain, 4, "0x", ","), MicrosoftKey()},
		{"quads", wordsOf(plain, 16, "", "-"), MicrosoftKey()},
		{"0x words without their zeros", strings.ReplaceAll(strings.Replace(wordsOf("0"+plain[1:], 8, "0x", ","), "0x0", "0x", 1), ",", " , "), append(Key{0x0d}, MicrosoftKey()[1:]...)},
		{"a word without its zero", strings.Replace(wordsOf("0"+plain[1:], 8, "", " "), "0", "", 1), append(Key{0x0d}, MicrosoftKey()[1:]...)},
		{"lines", plain[:32] + "\n" + plain[32:64] + "\n" + plain[64:], MicrosoftKey()},
		{"an array of C", "static uint8_t rss_key[40] = {\n\t/* Microsoft's, 40 bytes */\n\t0x" + strings.ReplaceAll(microsoftColons, ":", ", 0x") + ", // end\n};", MicrosoftKey()},
		{"an array of words", "u32 key[] = { " + wordsOf(plain, 8, "0x", ", ") + " }", MicrosoftKey()},
		{"a string of C", `"\x` + strings.ReplaceAll(microsoftColons, ":", `\x`) + `";`, MicrosoftKey()},
		{"ethtool -x", "RX flow hash indirection table for eth0 with 1 RX ring(s):\n    0:      0\nRSS hash key:\n" + microsoftColons + "\nRSS hash function:\n    toeplitz: on\n", MicrosoftKey()},
		{"ethtool -X", "ethtool -X eth0 hkey " + microsoftColons + " equal 4", MicrosoftKey()},
		{"decimal numbers", "109, 90, 86, 218, 37, 91, 14, 194, 65, 103, 37, 61, 67, 163, 143, 176, 208, 202, 43, 203, 174, 123, 48, 180, 119, 203, 45, 163, 128, 48, 242, 12, 106, 66, 183, 59, 190, 172, 1, 250", nil},
		{"words of two widths", plain[:8] + " " + plain[8:12] + " " + wordsOf(plain[16:], 8, "", " ") + " " + plain[12:16], nil},
		{"half of a last word", wordsOf(plain, 8, "", " ")[:80] + " abcd", nil},
		{"a long text", strings.Repeat(" ", maxKeyText) + plain, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseKey(c.in)
			if !bytes.Equal(got, c.want) || (err != nil) != (c.want == nil) {
				t.Errorf("ParseKey(%q) = %v, %v; want %v", c.in, got, err, c.want)
			}
		})
	}
}

// wordsOf splits digits into words.
func wordsOf(digits string, width int, before, between string) string {
	var words []string
	for ; digits != ""; digits = digits[width:] {
		words = append(words, before+digits[:width])
	}
	return strings.Join(words, between)
}

func TestKeyString(t *testing.T) {
	if got := MicrosoftKey().String(); got != microsoftColons {
		t.Errorf("String = %s, want %s", got, microsoftColons)
	}
}

func TestNamedKeysAreValidCopies(t *testing.T) {
	for _, name := range KeyNames() {
		k, ok := Named(name)
		if !ok || k.Validate() != nil {
			t.Errorf("Named(%q) = %v, %v: want a valid key", name, k, ok)
		}
		k[0] ^= 0xff
		if again, _ := Named(name); again[0] == k[0] {
			t.Errorf("Named(%q) shares memory between callers", name)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, seed := range []string{"", "ms", microsoftColons, strings.ReplaceAll(microsoftColons, ":", ""), ":", "6d:5", "zz", "0x6d5a56da, 0x255b0ec2",
		"{ 0x6d, /* */ 0x5a }", `\x6d\x5a`, "/", "/*", "RSS hash key:", "hkey 6d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseKey(s)
		if err != nil {
			return
		}
		if err := k.Validate(); err != nil {
			t.Errorf("ParseKey(%q) accepted a key that is not valid: %v", s, err)
		}
		again, err := ParseKey(k.String())
		if err != nil || !bytes.Equal(again, k) {
			t.Errorf("ParseKey(%q) = %v, and back = %v, %v", s, k, again, err)
		}
	})
}
