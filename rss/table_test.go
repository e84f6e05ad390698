package rss

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestEqualTable(t *testing.T) {
	for _, c := range []struct {
		size, queues int
		want         Table // nil: an error
	}{
		{8, 4, Table{0, 1, 2, 3, 0, 1, 2, 3}},
		{5, 3, Table{0, 1, 2, 0, 1}},
		{2, 4, Table{0, 1}},
		{1, 1, Table{0}},
		{0, 4, nil},
		{-1, 4, nil},
		{8, 0, nil},
		{8, -1, nil},
		{8, MaxQueues + 1, nil},
		{MaxTableSize + 1, 4, nil},
	} {
		got, err := EqualTable(c.size, c.queues)
		if diff := cmp.Diff(c.want, got); diff != "" || (err != nil) != (c.want == nil) {
			t.Errorf("EqualTable(%d, %d): error %v, table (-want +got):\n%s", c.size, c.queues, err, diff)
		}
	}
}

func TestIndex(t *testing.T) {
	for _, c := range []struct {
		size int
		hash uint32
		want int
	}{
		{128, 0x51ccc178, 0x78},
		{128, 0xffffffff, 127},
		{1, 0xffffffff, 0},
		{512, 0xfffffe01, 1},
		{100, 0x51ccc178, 68}, // 1372373368
		{3, 4294967295, 0},
		{0, 7, 0},
	} {
		if got := make(Table, c.size).Index(c.hash); got != c.want {
			t.Errorf("Index(%#x) in %d entries = %d, want %d", c.hash, c.size, got, c.want)
		}
	}
}

func TestIndexIsModulo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 5000).Draw(t, "size")
		hash := rapid.Uint32().Draw(t, "hash")
		if got, want := make(Table, size).Index(hash), int(uint64(hash)%uint64(size)); got != want {
			t.Errorf("Index(%#x) in %d entries = %d, want %d", hash, size, got, want)
		}
	})
}

func TestQueue(t *testing.T) {
	table := Table{7, 0, 9}
	for hash, want := range []Queue{7, 0, 9, 7} {
		if got := table.Queue(uint32(hash)); got != want {
			t.Errorf("Queue(%d) = %d, want %d", hash, got, want)
		}
	}
	if got := Table(nil).Queue(3); got != 0 {
		t.Errorf("Queue of the empty table = %d, want 0", got)
	}
}

func TestShares(t *testing.T) {
	got := Table{2, 0, 2, 2}.Shares()
	if diff := cmp.Diff([]float64{0.25, 0, 0.75}, got); diff != "" {
		t.Errorf("Shares (-want +got):\n%s", diff)
	}
	table, err := EqualTable(128, 3)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, share := range table.Shares() {
		sum += share
	}
	if math.Abs(sum-1) > 1e-12 || len(table.Shares()) != 3 {
		t.Errorf("%d shares of sum %v, want 3 of sum 1", len(table.Shares()), sum)
	}
	if got := Table(nil).Shares(); len(got) != 0 {
		t.Errorf("Shares of the empty table = %v, want none", got)
	}
}

func TestParseTable(t *testing.T) {
	const text = "RX flow hash indirection table for eth0 with 8 RX ring(s):\n    0:      0     1     2     3\n    4:      7     7\nRSS hash key:\n6d:5a\n    6:  1\n"
	table, rings, err := ParseTable(text)
	if err != nil || !slices.Equal(table, Table{0, 1, 2, 3, 7, 7}) || rings != 8 {
		t.Errorf("%v, %d rings, %v", table, rings, err)
	}
	if none := table.Unreachable(9); !slices.Equal(none, []Queue{4, 5, 6, 8}) {
		t.Errorf("queues without an entry: %v", none)
	}
	for text, want := range map[string]string{
		"":                   "no indirection table",
		"RSS hash key:\n":    "no indirection table",
		"    4:  0  1\n":     "line of entry 4: want that of entry 0",
		" 0: 0 1\n 1: 0 1\n": "line of entry 1: want that of entry 2",
		" 0: 0 x\n":          `entry 1, "x": want the number of a queue`,
		" 0: 65536\n":        `entry 0, "65536": want`,
		" 0:" + strings.Repeat(" 1", MaxTableSize+1): "more than 65536 entries",
	} {
		if table, _, err := ParseTable(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, %v; want %q", text, table, err, want)
		}
	}
}
