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
	// plain is true for Toeplitz without transform and quirks, which has a faster way.
	plain bool
}

// New returns a NIC set up as config says, of which it keeps a copy. It returns
// an error when the key's length, the table or a set of fields is not possible.
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

// WithTable returns the NIC after its indirection table was rewritten: same key,
// same fields. n does not change. An empty table sends all to queue 0.
func (n *NIC) WithTable(table rss.Table) *NIC {
	other := *n
	other.config.Table = slices.Clone(table)
	return &other
}

// Config returns a copy of the set-up.
func (n *NIC) Config() Config { return n.config.clone() }

// Result says where a packet goes and why.
type Result struct {
	// Fields were hashed; none when Hashed is false.
	Fields rss.Fields
	// Hash is the value the NIC reports; 0 when Hashed is false.
	Hash   uint32
	Hashed bool
	// Index is the entry of the indirection table; 0 when Hashed is false, then it was not used.
	Index int
	Queue rss.Queue
	// Flow is that given, or as packet.Parse sees it: ports are 0 where there are none or none were
	// looked for, as in a fragment. Of a tunnel it is the one that was hashed.
	Flow packet.Flow
	// Tunnel carried the packet that was hashed; 0 when that was the outer one.
	Tunnel packet.Tunnel
}

// Classify says where a frame goes that begins with its Ethernet header. Any
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

// ClassifyHeaders is Classify where the bytes are parsed already: h and err are what packet.Parse or
// packet.ParseIP returned for b, which is looked at again only for what a tunnel carries. When
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

// ClassifyFlow says where the whole packets, not the fragments, of a flow go. A
// flow without valid addresses of one family is not hashed. Its flow label and SPI count as 0. It
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

// subject is what decides, beside its flow, how a packet is hashed; see packet.Headers.
type subject struct {
	ports, fragment bool
	security        packet.Protocol
	spi, label      uint32
}

func subjectOf(h *packet.Headers) subject {
	return subject{ports: h.Ports, fragment: h.Fragment, security: h.Security, spi: h.SPI, label: h.FlowLabel}
}

// classify completes a result that has its flow.
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
