// Package kv is a key-value store of several threads over one shared map, and its clients. Both speak the commands get,
// set and version of memcached's text protocol (doc/protocol.txt of memcached), so that memcached can take the store's place.
package kv

import (
	"bytes"
	"fmt"
	"strconv"

	"lbctl/rss/packet"
)

// Hello is the Key of the command version, with which every client begins its connection.
const Hello = -1

// name returns the text of a key.
func name(key int) string { return "key-" + strconv.Itoa(key) }

// Value returns the value that a key always has: what one client puts, another can check.
func Value(seed uint64, key int) []byte {
	z := seed + uint64(key+1)*0x9e3779b97f4a7c15
	value := make([]byte, 0, 64)
	for range 4 {
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9 // Steele, Lea, Flood: SplitMix64
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
		value = fmt.Appendf(value, "%016x", z)
	}
	return value
}

// Served is a request as the store saw it: a line of its log.
type Served struct {
	// Flow is client > store.
	Flow packet.Flow
	// Key is the key's number, or Hello. Put tells set from get.
	Key int
	Put bool
	// Thread is the number of the thread that served it, and Core the core that it ran on then (getcpu(2)).
	Thread, Core int
	// Softirq is the core on which the kernel's network stack had processed the last packet of the
	// connection (SO_INCOMING_CPU, socket(7)).
	Softirq int
}

// command is a request.
type command struct {
	verb, key string
	value     []byte
}

// number returns the number of the key, Hello if it has none.
func (c command) number() int {
	n, err := strconv.Atoi(c.key[min(len("key-"), len(c.key)):])
	if err != nil {
		return Hello
	}
	return n
}

// longest is the length in bytes of the longest request that the store takes.
const longest = 4096

// cut takes the first command off what was received, and returns the rest. It is incomplete, and nothing is taken, if more
// has to be received first. The value is valid until b is changed.
func cut(b []byte) (c command, rest []byte, complete bool, err error) {
	line, rest, found := bytes.Cut(b, []byte("\r\n"))
	if !found {
		if len(b) > longest {
			err = fmt.Errorf("request of more than %d bytes", longest)
		}
		return c, b, false, err
	}
	words := bytes.Fields(line)
	if len(words) == 0 {
		return c, b, false, fmt.Errorf("request %q: no command", line)
	}
	c.verb = string(words[0])
	switch {
	case c.verb == "version" && len(words) == 1:
		return c, rest, true, nil
	case c.verb == "get" && len(words) == 2:
		c.key = string(words[1])
		return c, rest, true, nil
	case c.verb == "set" && len(words) == 5:
		c.key = string(words[1])
		n, err := strconv.Atoi(string(words[4]))
		if err != nil || n < 0 || n > longest {
			return c, b, false, fmt.Errorf("set of %q bytes: want 0 to %d", words[4], longest)
		}
		if len(rest) < n+2 {
			return c, b, false, nil
		}
		c.value = rest[:n]
		return c, rest[n+2:], true, nil
	}
	return c, b, false, fmt.Errorf("request %q: want get, set or version", line)
}
