// Package nic is a model of the receive side of a multi-queue NIC: for a frame
// or a flow it returns the hash fields, the hash, the entry of the
// indirection table and the queue. Profiles describe real NICs.
//
// Its rules are Microsoft's (NDIS documentation, "RSS Hashing Types"): a fragment, the
// first included, is hashed over the addresses only, and ports are found after
// IPv4 options and IPv6 extension headers. VLAN tags are skipped; Config.Inner says in which tunnels the
// inner packet is hashed. Frames that are not IP or cannot be parsed go to queue 0 without a hash.
package nic

import (
	"fmt"
	"slices"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// NIC classifies frames. It is immutable and safe for concurrent use; the zero
// value is not ready, New makes one.
type NIC struct {
	config Config
	tables *rss.Tables
	// plain is true for Toeplitz without transform and quirks, for which there is faster code.
	plain bool
}

// New returns a NIC with a copy of a configuration. It returns the error of Config.Validate.
func New(config Config) (*NIC, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("set up nic: %w", err)
	}
	config = config.clone()
	return &NIC{
		config: config, tables: rss.NewTables(config.Key, rss.MaxInputLength),
		plain: config.Function == rss.FunctionToeplitz && config.Transform == rss.NoTransform && config.Quirks == (Quirks{}),
	}, nil
}

// WithTable returns a copy of the NIC with another indirection table. An empty table sends
// everything to queue 0.
func (n *NIC) WithTable(table rss.Table) *NIC {
	other := *n
	other.config.Table = slices.Clone(table)
	return &other
}

// Config returns a copy of the configuration.
func (n *NIC) Config() Config { return n.config.clone() }

// Result is the queue of a packet, and how it was chosen.
type Result struct {
	// Fields are the fields that were hashed; none when Hashed is false.
	Fields rss.Fields
	// Hash is the value the NIC reports; 0 when Hashed is false.
	Hash   uint32
	Hashed bool
	// Index is the entry of the indirection table. It is 0 and was not used when Hashed is false.
	Index int
	Queue rss.Queue
	// Flow is the flow of the packet that was hashed, as given or as packet.Parse returns it: ports are 0 in a
	// fragment and for protocols without ports.
	Flow packet.Flow
	// Tunnel is the encapsulation if the inner packet was hashed; 0 for the outer one.
	Tunnel packet.Tunnel
}

// Classify returns the queue of a frame that begins with its Ethernet header. Any
// bytes are allowed. It does not allocate.
func (n *NIC) Classify(frame []byte) Result {
	h, err := packet.Parse(frame)
	return n.ClassifyHeaders(frame, &h, err)
}

// ClassifyIP is Classify of a packet that begins with its IP header.
func (n *NIC) ClassifyIP(b []byte) Result {
	h, err := packet.ParseIP(b)
	return n.ClassifyHeaders(b, &h, err)
}

// ClassifyHeaders is Classify of a packet that was parsed already: h and err are the results of packet.Parse or
// packet.ParseIP for b, which is read again only for the inner packet of a tunnel. When
// that is not IP, or cannot be parsed, the outer packet is hashed.
func (n *NIC) ClassifyHeaders(b []byte, h *packet.Headers, err error) Result {
	if err != nil && err != packet.ErrTransport {
		return Result{Flow: h.Flow}
	}
	if n.config.Inner != 0 {
		inner, tunnel, err := packet.Inner(b, h)
		if n.config.Inner&tunnel != 0 && (err == nil || err == packet.ErrTransport) && inner.Flow.Source.IsValid() {
			r := Result{Flow: inner.Flow, Tunnel: tunnel}
			n.classify(&r, subjectOf(&inner))
			return r
		}
	}
	r := Result{Flow: h.Flow}
	n.classify(&r, subjectOf(h))
	return r
}

// ClassifyFlow returns the queue of the packets of a flow that are not fragments. A
// flow without valid addresses of one family is not hashed. Flow label and SPI count as 0. It
// does not allocate.
func (n *NIC) ClassifyFlow(flow packet.Flow) Result {
	s := subject{ports: flow.Protocol.HasPorts()}
	if flow.Protocol == packet.ESP || flow.Protocol == packet.Authentication {
		s.security = flow.Protocol
	}
	r := Result{Flow: flow}
	n.classify(&r, s)
	return r
}

// subject is what decides how a packet is hashed, besides its flow; see packet.Headers.
type subject struct {
	ports, fragment bool
	security        packet.Protocol
	spi, label      uint32
}

func subjectOf(h *packet.Headers) subject {
	return subject{ports: h.Ports, fragment: h.Fragment, security: h.Security, spi: h.SPI, label: h.FlowLabel}
}

// classify completes a result whose Flow is set.
func (n *NIC) classify(r *Result, s subject) {
	r.Fields = n.fields(&r.Flow, s)
	if r.Fields == 0 {
		return
	}
	r.Hash, r.Hashed = n.hash(&r.Flow, s, r.Fields), true
	if table := n.config.Table; len(table) > 0 {
		r.Index = table.Index(r.Hash)
		r.Queue = table[r.Index]
	}
}
