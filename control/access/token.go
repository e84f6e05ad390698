package access

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"lbctl/lb"
)

// tokenPrefix begins every token, so that programs that look for secrets in texts find it.
const tokenPrefix = "lbctl_"

// Token is a line of a file of tokens: whose it is, and the hash of it. Tokens are 256 random bits, so a hash that is slow to compute
// would protect nothing more.
type Token struct {
	Name string
	Role Role
	// Expires is the time from which it is not taken any more; zero: never.
	Expires time.Time
	hash    [sha256.Size]byte
}

// NewToken makes a token: the secret, and the line for the file. Errors wrap lb.ErrInvalid.
func NewToken(name, role string, expires time.Time) (secret string, line Token, err error) {
	r, known := parseRole(role)
	switch {
	case !tokenName.MatchString(name):
		return "", line, fmt.Errorf("name %q: %w: want 1 to 64 letters, digits, dots, dashes and underscores", name, lb.ErrInvalid)
	case !known:
		return "", line, fmt.Errorf("role %q: %w: want %s", role, lb.ErrInvalid, strings.Join(Roles(), " or "))
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // it never fails
	secret = tokenPrefix + base64.RawURLEncoding.EncodeToString(random)
	return secret, Token{Name: name, Role: r, Expires: expires.UTC().Truncate(time.Second), hash: sha256.Sum256([]byte(secret))}, nil
}

// String returns the line.
func (t Token) String() string {
	line := fmt.Sprintf("%s %v sha256:%x", t.Name, t.Role, t.hash)
	if !t.Expires.IsZero() {
		line += " " + t.Expires.Format(time.RFC3339)
	}
	return line
}

var tokenName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// parseTokens reads a file of tokens: a line each, "name role sha256:HEX [expiry]"; # begins a comment. Errors name the line,
// never what is in it: somebody may have put a token there. They wrap lb.ErrInvalid.
func parseTokens(path string, text []byte) ([]Token, error) {
	var all []Token
	names, lines := map[string]bool{}, bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		t, wrong := parseToken(words)
		if wrong == "" && names[t.Name] {
			wrong = "the name is there already"
		}
		if wrong != "" {
			return nil, fmt.Errorf("%s:%d: %w: %s", path, n, lb.ErrInvalid, wrong)
		}
		names[t.Name] = true
		all = append(all, t)
	}
	if lines.Err() != nil {
		return nil, fmt.Errorf("%s: %w: a line is too long", path, lb.ErrInvalid)
	}
	return all, nil
}

func parseToken(words []string) (t Token, wrong string) {
	if len(words) < 3 || len(words) > 4 {
		return t, "want NAME ROLE sha256:HASH [EXPIRY], as lbctl token new prints it"
	}
	var known bool
	if t.Name = words[0]; !tokenName.MatchString(t.Name) {
		return t, "the name: want 1 to 64 letters, digits, dots, dashes and underscores"
	}
	if t.Role, known = parseRole(words[1]); !known {
		return t, "the role: want " + strings.Join(Roles(), " or ")
	}
	digits, is := strings.CutPrefix(words[2], "sha256:")
	hash, err := hex.DecodeString(digits)
	if !is || err != nil || len(hash) != len(t.hash) {
		return t, "the hash: want sha256: and 64 hexadecimal digits"
	}
	copy(t.hash[:], hash)
	if len(words) == 4 {
		if t.Expires, err = time.Parse(time.RFC3339, words[3]); err != nil {
			return t, "the expiry: want a time like 2030-01-31T12:00:00Z"
		}
	}
	return t, ""
}

// find returns the token with a hash, if it has not expired. It takes the same time whichever that is, and whether there is one.
func find(all []Token, hash [sha256.Size]byte, now time.Time) (Token, bool) {
	at, found := 0, 0
	for n := range all {
		same := subtle.ConstantTimeCompare(all[n].hash[:], hash[:])
		at = subtle.ConstantTimeSelect(same, n, at)
		found |= same
	}
	if found == 0 {
		return Token{}, false
	}
	t := all[at]
	return t, t.Expires.IsZero() || now.Before(t.Expires)
}
