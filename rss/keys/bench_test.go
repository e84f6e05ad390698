package keys

import (
	"testing"

	"lbctl/rss"
)

// eightQueues is a table of 128 entries.
func eightQueues() rss.Table {
	table := make(rss.Table, 128)
	for i := range table {
		table[i] = rss.Queue(i % 8)
	}
	return table
}

// BenchmarkSpread hashes the flows of all patterns.
func BenchmarkSpread(b *testing.B) {
	key, table := rss.MicrosoftKey(), eightQueues()
	for b.Loop() {
		if _, err := Spread(key, table); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSourcePorts hashes all source ports of one client.
func BenchmarkSourcePorts(b *testing.B) {
	key, table := rss.MicrosoftKey(), eightQueues()
	for b.Loop() {
		if _, err := SourcePorts(key, table); err != nil {
			b.Fatal(err)
		}
	}
}
