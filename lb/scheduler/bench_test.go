package scheduler

import (
	"testing"

	"lbctl/lb"
)

// BenchmarkMaglev builds the default table for 100 replicas; the goal is 5 ms.
func BenchmarkMaglev(b *testing.B) {
	skewed := replicas(100)
	skewed[37].Weight = 65535
	for _, c := range []struct {
		name     string
		replicas []lb.Replica
	}{{"equal", replicas(100)}, {"skewed", skewed}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				maglev(c.replicas, lb.DefaultMaglevSize)
			}
		})
	}
}
