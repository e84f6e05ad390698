package rss

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxKeyText is the most bytes of text that a key is read from.
const maxKeyText = 64 << 10

// ParseKey reads a key as people write it: a name that Named knows; hexadecimal digits, all in one or in bytes or words between
// colons, spaces, commas or dashes, each with 0x before it or not; an array or a string of C; what ethtool -x prints. A
// word is read as it is written, its first digits first; zeros that it lacks in front are added where that is not
// ambiguous.
func ParseKey(s string) (Key, error) {
	if k, ok := Named(s); ok {
		return k, nil
	}
	if len(s) > maxKeyText {
		return nil, fmt.Errorf("parse rss key: a text of %d bytes: want at most %d", len(s), maxKeyText)
	}
	b, err := hex.DecodeString(keyDigits(keyPart(s)))
	if words := keyWords(keyPart(s)); err == nil && len(words) > 1 {
		b, err = joinWords(words)
	}
	if err != nil {
		return nil, fmt.Errorf("parse rss key: want hexadecimal digits or one of %s: %w", strings.Join(KeyNames(), ", "), err)
	}
	if err := Key(b).Validate(); err != nil {
		return nil, err
	}
	return b, nil
}

// keyPart cuts away what surrounds the digits of a key: a declaration in C, its comments, or the rest of ethtool's output.
func keyPart(s string) string {
	for _, head := range []string{"RSS hash key:", "hkey "} { // ethtool -x, ethtool -X
		if _, key, ok := strings.Cut(s, head); ok {
			key, _, _ = strings.Cut(strings.TrimSpace(key), "\n")
			key, _, _ = strings.Cut(key, " ")
			return key
		}
	}
	if _, value, ok := strings.Cut(s, "{"); ok {
		s, _, _ = strings.Cut(value, "}")
	} else if _, value, ok := strings.Cut(s, "="); ok {
		s = value
	}
	return withoutComments(s)
}

// withoutComments removes the comments of C.
func withoutComments(s string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, "/")
		out.WriteString(before)
		switch {
		case !found:
			return out.String()
		case strings.HasPrefix(rest, "*"):
			_, s, _ = strings.Cut(rest[1:], "*/")
		case strings.HasPrefix(rest, "/"):
			_, s, _ = strings.Cut(rest, "\n")
		default:
			out.WriteByte('/') // no digit: it is refused
			s = rest
		}
		out.WriteByte(' ')
	}
}

// word is one of the words of a key.
type word struct {
	digits string
	// marked is true with 0x before it.
	marked bool
}

// keyWords splits a key.
func keyWords(s string) []word {
	s = strings.ReplaceAll(s, `\x`, " 0x")
	var words []word
	for _, text := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t\r\n:,;-\"'", r) }) {
		w := word{digits: text}
		if rest, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
			w = word{strings.TrimRight(rest, "ul"), true}
		}
		words = append(words, w)
	}
	return words
}

// keyDigits are the digits of a key that is one word; empty for one of several.
func keyDigits(s string) string {
	if words := keyWords(s); len(words) == 1 {
		return words[0].digits
	}
	return ""
}

// joinWords returns the bytes of words of one width. Longer words than 16 digits are lines of a key, each of any length.
func joinWords(words []word) (Key, error) {
	longest := 0
	for _, w := range words {
		longest = max(longest, len(w.digits))
	}
	width := longest
	if longest <= 16 {
		for width = 2; width < longest; width *= 2 {
		}
	}
	var key Key
	for i, w := range words {
		digits := w.digits
		if longest <= 16 {
			if !w.complete(width, longest) {
				return nil, fmt.Errorf("word %d, %q, has %d digits of %d: write all digits of each, or 0x before each", i+1, digits, len(digits), width)
			}
			digits = strings.Repeat("0", width-len(digits)) + digits
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			return nil, fmt.Errorf("word %d, %q: %w", i+1, w.digits, errWord(err))
		}
		key = slices.Concat(key, b)
	}
	return key, nil
}

// complete tells whether a word can only be read in one way: its zeros in front may be missing where 0x is before it, or where an
// odd number of digits cannot be bytes of their own. Decimal numbers are not such words.
func (w word) complete(width, longest int) bool {
	switch n := len(w.digits); {
	case n == 0 || !w.marked && longest == 1:
		return false
	case w.marked || n == width:
		return true
	case width == 2:
		return n == 1
	default:
		return n%2 == 1 && n > width/2 && width >= 8
	}
}

// errWord is an error of package hex without its name.
func errWord(err error) error {
	if errors.Is(err, hex.ErrLength) {
		return errors.New("an odd number of digits")
	}
	return errors.New(strings.TrimPrefix(err.Error(), "encoding/hex: "))
}
