package replica_test

import (
	"bytes"
	"crypto/sha256"
	"math"
	"testing"

	"pgregory.net/rapid"

	"lbctl/testbed/replica"
)

func TestSiteIsAFunctionOfItsFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := replica.Site{
			Seed: rapid.Uint64().Draw(t, "seed"), Objects: 10,
			MinSize: rapid.IntRange(1, 1000).Draw(t, "min"),
		}
		s.MaxSize = s.MinSize + rapid.IntRange(0, 10_000).Draw(t, "more")
		n := rapid.IntRange(0, 9).Draw(t, "object")
		body := s.Body(n)
		if len(body) != s.Size(n) || s.Size(n) < s.MinSize || s.Size(n) > s.MaxSize {
			t.Errorf("body of %d bytes, size %d, want %d to %d", len(body), s.Size(n), s.MinSize, s.MaxSize)
		}
		if !bytes.Equal(body, s.Body(n)) || s.Sum(n) != sha256.Sum256(body) {
			t.Error("two calls, two bodies")
		}
		other := s
		other.Seed++
		if len(body) > 16 && (bytes.HasPrefix(other.Body(n), body[:16]) || bytes.HasPrefix(s.Body(n+1), body[:16])) {
			t.Error("another seed or another object has the same bytes")
		}
	})
}

// The mean of a log-uniform distribution between a and b is (b-a)/ln(b/a).
func TestSizesAreLogUniformForAnySeed(t *testing.T) {
	for seed := range uint64(20) {
		s := replica.DefaultSite(seed)
		want := (1e6 - 200) / math.Log(1e6/200)
		got := float64(s.Bytes()) / float64(s.Objects)
		if got < .8*want || got > 1.2*want {
			t.Errorf("seed %d: mean size %.0f, want %.0f within a fifth", seed, got, want)
		}
	}
}
