package rss

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// ringsOf is the head of a table in the output of ethtool -x.
var ringsOf = regexp.MustCompile(`with (\d{1,5}) RX ring`)

// ParseTable reads the indirection table in the output of ethtool -x: lines of an index and the entries from it on. rings is the
// number of receive queues that its head tells, 0 without one.
func ParseTable(text string) (table Table, rings int, err error) {
	if m := ringsOf.FindStringSubmatch(text); m != nil {
		rings, _ = strconv.Atoi(m[1]) // digits
	}
	for line := range strings.Lines(text) {
		index, entries, ok := strings.Cut(line, ":")
		n, err := strconv.Atoi(strings.TrimSpace(index))
		switch {
		case (!ok || err != nil) && len(table) > 0:
			return table, rings, nil // the key follows
		case !ok || err != nil:
			continue
		case n != len(table):
			return nil, 0, fmt.Errorf("line of entry %d: want that of entry %d", n, len(table))
		}
		for _, word := range strings.Fields(entries) {
			queue, err := strconv.ParseUint(word, 10, 16)
			if err != nil {
				return nil, 0, fmt.Errorf("entry %d, %q: want the number of a queue", len(table), word)
			}
			table = append(table, Queue(queue))
		}
		if len(table) > MaxTableSize {
			return nil, 0, fmt.Errorf("more than %d entries", MaxTableSize)
		}
	}
	if len(table) == 0 {
		return nil, 0, errors.New("no indirection table: want the output of ethtool -x, or JSON")
	}
	return table, rings, nil
}

// Unreachable returns the queues below a number that no entry of the table names: they get no packet that is hashed.
func (t Table) Unreachable(queues int) []Queue {
	reached := make([]bool, max(queues, t.Queues()))
	for _, q := range t {
		reached[q] = true
	}
	var none []Queue
	for q := range queues {
		if !reached[q] {
			none = append(none, Queue(q))
		}
	}
	return none
}
