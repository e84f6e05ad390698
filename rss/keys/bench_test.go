package keys

import (
	"testing"

	"lbctl/rss"
)

// BenchmarkSpread hashes the flows of all patterns.
func BenchmarkSpread(b *testing.B) {
	key, table := rss.MicrosoftKey(), make(rss.Table, 128)
	for i := range table {
		table[i] = rss.Queue(i % 8)
	}
	for b.Loop() {
		if _, err := Spread(key, table); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSourcePorts hashes all source ports of one client.
func BenchmarkSourcePorts(b *testing.B) {
	key, table := rss.MicrosoftKey(), make(rss.Table, 128)
	for i := range table {
		table[i] = rss.Queue(i % 8)
	}
	for b.Loop() {
		if _, err := SourcePorts(key, table); err != nil {
			b.Fatal(err)
		}
	}
}
