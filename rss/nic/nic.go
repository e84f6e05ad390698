// Package nic is a model of the receive side of a multi-queue NIC: for a frame
// or a flow it returns the hash fields, the hash, the entry of the
// indirection table and the queue. Profiles describe real NICs.
//
// Its rules are Microsoft's (NDIS documentation, "RSS Hashing Types"): a fragment, the
// first included, is hashed over the addresses only, and ports are found after
// IPv4 options and IPv6 extension headers. VLAN tags are skipped; Config.Inner says in which tunnels the
// inner packet is hashed. Frames that are not IP, cannot be parsed, or have no hash fields are not hashed and go
// to the default queue.
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
// everything to the default queue.
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
	// Unhashed is why the packet was not hashed; 0 when Hashed is true. With Cut the queue is not known.
	Unhashed Unhashed
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

// ClassifyHeaders is Classify of a packet that was parsed already: h and err are the results of packet.Parse,
// packet.ParseCaptured or packet.ParseIP for b, which is read again only for the inner packet of a tunnel. When
// that is not IP, or cannot be parsed, the outer packet is hashed.
func (n *NIC) ClassifyHeaders(b []byte, h *packet.Headers, err error) Result {
	if err == packet.ErrEthernet || err == packet.ErrIP {
		return n.unhashed(h.Flow, Damaged)
	}
	if n.config.Inner != 0 {
		inner, tunnel, innerErr := packet.Inner(b, h)
		switch {
		case n.config.Inner&tunnel == 0:
		case inner.Flow.Source.IsValid() && (innerErr == nil || innerErr == packet.ErrTransport || innerErr == packet.ErrCut):
			return n.classify(subjectOf(&inner, innerErr), inner.Flow, tunnel)
		case innerErr == packet.ErrCut: // it is not known whether the inner packet would be hashed
			return n.unhashed(h.Flow, Cut)
		}
	}
	if !h.Flow.Source.IsValid() {
		return n.unhashed(h.Flow, causeOf(h, err))
	}
	return n.classify(subjectOf(h, err), h.Flow, 0)
}

// ClassifyFlow returns the queue of the packets of a flow that are not fragments. A
// flow without valid addresses of one family is not hashed. Flow label and SPI count as 0. It
// does not allocate.
func (n *NIC) ClassifyFlow(flow packet.Flow) Result {
	s := subject{ports: flow.Protocol.HasPorts()}
	if flow.Protocol == packet.ESP || flow.Protocol == packet.Authentication {
		s.security = flow.Protocol
	}
	return n.classify(s, flow, 0)
}

// subject is what decides how a packet is hashed, besides its flow; see packet.Headers.
type subject struct {
	ports, fragment bool
	// cut is true when the capture ends before the ports or the SPI, lost when it does before the protocol is known.
	cut, lost  bool
	security   packet.Protocol
	spi, label uint32
}

func subjectOf(h *packet.Headers, err error) subject {
	s := subject{ports: h.Ports, fragment: h.Fragment, security: h.Security, spi: h.SPI, label: h.FlowLabel}
	if err == packet.ErrCut {
		s.assume(h)
	}
	return s
}

// assume fills in the kind of the header that was not captured.
func (s *subject) assume(h *packet.Headers) {
	s.cut, s.lost = true, h.Transport == 0
	switch p := h.Flow.Protocol; {
	case p.HasPorts():
		s.ports = true
	case p == packet.ESP || p == packet.Authentication:
		s.security = p
	}
}

// classify returns the result for a packet.
func (n *NIC) classify(s subject, flow packet.Flow, tunnel packet.Tunnel) Result {
	fields := n.fields(&flow, s)
	switch {
	case s.lost, s.cut && fields&rss.Ports != 0:
		return n.unhashed(flow, Cut)
	case fields == 0:
		return n.unhashed(flow, NoFields)
	}
	r := Result{Fields: fields, Hash: n.hash(&flow, s, fields), Hashed: true, Flow: flow, Tunnel: tunnel}
	if table := n.config.Table; len(table) > 0 {
		r.Index = table.Index(r.Hash)
		r.Queue = table[r.Index]
	}
	return r
}

// unhashed returns the result for a packet without a hash.
func (n *NIC) unhashed(flow packet.Flow, why Unhashed) Result {
	return Result{Unhashed: why, Queue: n.config.DefaultQueue.Of(n.config.Table), Flow: flow}
}
