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
}

// New returns a NIC set up as config says, of which it keeps a copy. It returns
// an error when the key's length, the table or a set of fields is not possible.
func New(config Config) (*NIC, error) {
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("set up nic: %w", err)
	}
	config = config.clone()
	return &NIC{config: config, tables: rss.NewTables(config.Key, rss.IPv6TupleLength)}, nil
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
	// looked for, as in a fragment.
	Flow packet.Flow
}

// Classify says where a frame goes that begins with its Ethernet header. Any
// bytes are allowed. It does not allocate.
func (n *NIC) Classify(frame []byte) Result {
	h, err := packet.Parse(frame)
	if err != nil && err != packet.ErrTransport {
		return Result{Flow: h.Flow}
	}
	r := Result{Flow: h.Flow}
	n.classify(&r, h.Ports)
	return r
}

// ClassifyFlow says where the whole packets, not the fragments, of a flow go. A
// flow without valid addresses of one family is not hashed. It does not allocate.
func (n *NIC) ClassifyFlow(flow packet.Flow) Result {
	r := Result{Flow: flow}
	n.classify(&r, flow.Protocol == packet.TCP || flow.Protocol == packet.UDP)
	return r
}

// classify completes a result that has its flow, whose ports are known or not.
func (n *NIC) classify(r *Result, ports bool) {
	r.Fields = n.fields(&r.Flow, ports)
	if r.Fields == 0 {
		return
	}
	r.Hash, r.Hashed = n.hash(&r.Flow, r.Fields), true
	r.Index, r.Queue = n.config.Table.Index(r.Hash), n.config.Table.Queue(r.Hash)
}

// fields returns what is hashed of a flow's packet.
func (n *NIC) fields(flow *packet.Flow, ports bool) rss.Fields {
	source, destination := flow.Source.Addr(), flow.Destination.Addr()
	v4, tcp := source.Is4(), flow.Protocol == packet.TCP
	switch {
	case source.BitLen() != destination.BitLen() || !source.IsValid():
		return 0
	case v4 && !ports:
		return n.config.IP4
	case v4 && tcp:
		return n.config.TCP4
	case v4:
		return n.config.UDP4
	case !ports:
		return n.config.IP6
	case tcp:
		return n.config.TCP6
	}
	return n.config.UDP6
}

// hash hashes the fields, rss.FourTuple or rss.Addresses, of a flow of one family.
func (n *NIC) hash(flow *packet.Flow, fields rss.Fields) uint32 {
	var room [rss.IPv6TupleLength]byte
	if fields == rss.FourTuple {
		return n.tables.Hash(rss.AppendTuple(room[:0], flow.Source, flow.Destination))
	}
	return n.tables.Hash(rss.AppendAddresses(room[:0], flow.Source.Addr(), flow.Destination.Addr()))
}
