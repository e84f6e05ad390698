package rest

import (
	"fmt"
	"slices"
	"strings"
)

// matcher is the value of an If-Match header (RFC 9110, section 13.1.1); empty, it
// allows everything.
type matcher string

// allows reports whether the intent may be changed at a revision. Weak tags never match.
func (m matcher) allows(revision uint64) bool {
	if strings.TrimSpace(string(m)) == "" {
		return true
	}
	return slices.ContainsFunc(strings.Split(string(m), ","), func(tag string) bool {
		tag = strings.TrimSpace(tag)
		return tag == "*" || tag == etag(revision)
	})
}

// etag is the entity tag of everything that belongs to a revision of the intent.
func etag(revision uint64) string { return fmt.Sprintf(`"%d"`, revision) }
