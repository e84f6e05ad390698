// Package hold is the clients that hold connections for a long time, to servers of package echo behind one VIP or
// several. They wait for orders: to open more, to send a message on each and see that the same replica answers with
// the same bytes, to close some.
package hold

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"lbctl/rss/packet"
)

// Config says who the clients are.
type Config struct {
	// Sources are their addresses; the connections take turns.
	Sources []netip.Addr
	// Concurrency is how many work at a time; 0: DefaultConcurrency.
	Concurrency int
	// Timeout is how long a connect and an answer may take; 0: DefaultTimeout.
	Timeout time.Duration
	// Seed decides the bytes of messages.
	Seed uint64
}

// The defaults of a Config. The timeout covers several retransmissions.
const (
	DefaultConcurrency = 32
	DefaultTimeout     = 10 * time.Second
)

func (c Config) withDefaults() Config {
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	return c
}

func (c Config) validate() error {
	if len(c.Sources) == 0 {
		return errors.New("clients: no source addresses")
	}
	if c.Concurrency < 1 {
		return fmt.Errorf("clients: %d at a time: want at least 1", c.Concurrency)
	}
	return nil
}

// Order is a line of JSON on standard input. Its parts are done in the order of the fields.
type Order struct {
	// Close closes the connections of these places, as a client does that is done.
	Close []Place
	// Ask sends a message on every connection, but for those of the places in Silent. One that
	// does not answer as it should is reported as lost, and closed.
	Ask    bool
	Silent []Place
	// Open opens connections. One counts as open after a first message was answered.
	Open []OpenRequest
}

// Place is a replica behind a VIP, by the number that it calls itself.
type Place struct {
	VIP     netip.AddrPort
	Replica int
}

// OpenRequest asks for a number of connections to a VIP.
type OpenRequest struct {
	VIP   netip.AddrPort
	Count int
	// Sources, if there are any, are where they come from in turn (dial.FromDealt), in the place of Config.Sources.
	Sources []netip.AddrPort
}

// source returns where the connection of a number comes from, of which so many were opened before.
func (r OpenRequest) source(number, before int, addresses []netip.Addr) netip.AddrPort {
	if len(r.Sources) > 0 {
		return r.Sources[number%len(r.Sources)]
	}
	return netip.AddrPortFrom(addresses[(before+number)%len(addresses)], 0)
}

// Report is the answer to an order, a line of JSON on standard output.
type Report struct {
	// Closed are those that were closed, by place.
	Closed []Count
	// Asked are those that were asked, Lost those of them that did not answer as they should.
	Asked []Asked
	Lost  []Lost
	// Opened are those that were opened, Refused those that were not.
	Opened  []Opened
	Refused []Refused
}

// Count is a number of connections at a place.
type Count struct {
	Place
	Connections int
}

// Opened is a new connection, and how long it took from the SYN to the first answer.
type Opened struct {
	Place
	Flow packet.Flow
	Took time.Duration
}

// Refused is a connection that was not opened.
type Refused struct {
	VIP netip.AddrPort
	Err string
}

// Asked is a connection that was asked, and what was known of it before its answer was due.
type Asked struct {
	Flow packet.Flow
	// Sent is when its message was on its way, and Silence how long before it the last message was, at most.
	Sent    time.Time
	Silence time.Duration
	// Spoke tells that the client's kernel had sent something by itself since the exchange before, as when it got
	// an answer twice.
	Spoke bool
}

// Lost is a connection that was lost.
type Lost struct {
	Place
	Flow packet.Flow
	Fate Fate
	Err  string
}

// Fate is how a connection was lost.
type Fate string

const (
	// Reset: somebody said that there is no such connection: another replica, which does not know it.
	Reset Fate = "reset"
	// Moved: another replica answered.
	Moved Fate = "moved"
	// Silent: no answer within the timeout.
	Silent Fate = "silent"
	// Garbled: other bytes came back.
	Garbled Fate = "garbled"
)
