//go:build !amd64

package rss

// vector stands for the code for 16 flows at a time, which there is not for this architecture.
type vector struct{}

func newVector(Key) *vector { return nil }

func (*vector) hashIPv4(_ []uint32, _, _, _ [][4]byte) {}

func (*vector) hashIPv6(_ []uint32, _, _ [][16]byte, _ []uint32) {}
