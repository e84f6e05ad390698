package replica

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
)

// Site is a set of web objects, numbered from 0: /objects/0 and so on. Every replica
// and every client that is given the same Site knows the same bytes.
type Site struct {
	Seed uint64
	// Objects is their number, at least 1.
	Objects int
	// MinSize and MaxSize are the sizes in bytes between which objects are spread evenly
	// on a logarithmic scale, as sizes on the web are: 1 to 1<<30.
	MinSize, MaxSize int
}

// DefaultSite is 64 objects of 200 B to 1 MB, 117 kB on the average.
func DefaultSite(seed uint64) Site {
	return Site{Seed: seed, Objects: 64, MinSize: 200, MaxSize: 1_000_000}
}

// Validate says what is wrong with a site.
func (s Site) Validate() error {
	switch {
	case s.Objects < 1:
		return fmt.Errorf("site of %d objects: want at least 1", s.Objects)
	case s.MinSize < 1 || s.MaxSize > 1<<30:
		return fmt.Errorf("site with sizes %d to %d: want 1 to %d", s.MinSize, s.MaxSize, 1<<30)
	case s.MinSize > s.MaxSize:
		return fmt.Errorf("site with sizes %d to %d: the smallest exceeds the largest", s.MinSize, s.MaxSize)
	}
	return nil
}

// Size returns the length of an object in bytes. The sequence n times the golden ratio,
// modulo 1, fills the unit interval evenly, so the mean size depends little on the seed
// (Knuth, The Art of Computer Programming 3, section 6.4).
func (s Site) Size(n int) int {
	start := rand.New(rand.NewPCG(s.Seed, 0)).Float64()
	_, u := math.Modf(start + float64(n)*math.Phi)
	low, high := math.Log(float64(s.MinSize)), math.Log(float64(s.MaxSize))
	size := int(math.Round(math.Exp(low + u*(high-low))))
	return min(max(size, s.MinSize), s.MaxSize)
}

// Body returns the bytes of an object: a stream of ChaCha8 whose seed is the site's
// seed and the object's number.
func (s Site) Body(n int) []byte {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[0:], s.Seed)
	binary.LittleEndian.PutUint64(seed[8:], uint64(n))
	body := make([]byte, s.Size(n))
	_, _ = rand.NewChaCha8(seed).Read(body) // never fails, by its documentation
	return body
}

// Sum returns the SHA-256 of an object.
func (s Site) Sum(n int) [sha256.Size]byte { return sha256.Sum256(s.Body(n)) }

// Bytes returns the length of all objects together.
func (s Site) Bytes() int {
	total := 0
	for n := range s.Objects {
		total += s.Size(n)
	}
	return total
}
