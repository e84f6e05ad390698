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
		{"a colon at the end", microsoftColons + ":", nil},
		{"colons between digits", strings.Join(strings.Split(plain, ""), ":"), nil},
		{"a space", plain + " ", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseKey(c.in)
			if !bytes.Equal(got, c.want) || (err != nil) != (c.want == nil) {
				t.Errorf("ParseKey(%q) = %v, %v; want %v", c.in, got, err, c.want)
			}
		})
	}
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
	for _, seed := range []string{"", "ms", microsoftColons, strings.ReplaceAll(microsoftColons, ":", ""), ":", "6d:5", "zz"} {
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
