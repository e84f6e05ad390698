package traffic

import (
	"crypto/sha256"
	"sync"

	"lbctl/testbed/replica"
)

// expectation is what the answer for an object must be.
type expectation struct {
	size int
	sum  [sha256.Size]byte
}

// expectations knows what every object must be; each is worked out when it is first
// asked for. Safe for concurrent use.
type expectations []func() expectation

func newExpectations(s replica.Site) expectations {
	all := make(expectations, s.Objects)
	for n := range all {
		all[n] = sync.OnceValue(func() expectation {
			return expectation{size: s.Size(n), sum: s.Sum(n)}
		})
	}
	return all
}
