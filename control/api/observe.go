package api

// Counters is the answer to GET /v1/counters: since the tables were made.
type Counters struct {
	Packets  uint64         `json:"packets" doc:"Packets seen: the sum over the reasons."`
	Bytes    uint64         `json:"bytes"`
	Reasons  []ReasonCount  `json:"reasons" nullable:"false" doc:"Every packet has exactly one reason."`
	Services []ServiceCount `json:"services" nullable:"false" doc:"Packets forwarded."`
	Replicas []ReplicaCount `json:"replicas" nullable:"false" doc:"Packets forwarded."`
}

// ReasonCount counts the packets whose verdict had one reason.
type ReasonCount struct {
	Reason  string `json:"reason" example:"forwarded"`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// ServiceCount counts the packets forwarded for one service. Name is empty when the
// intent does not know the VIP.
type ServiceCount struct {
	Service string `json:"service"`
	VIP     string `json:"vip" example:"tcp 192.0.2.1:80"`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// ReplicaCount counts the packets forwarded to one replica of one service.
type ReplicaCount struct {
	Service string `json:"service"`
	VIP     string `json:"vip" example:"tcp 192.0.2.1:80"`
	Replica string `json:"replica" example:"10.1.0.1:8080"`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// Probe is the body of POST /v1/explain: a packet that is not sent.
type Probe struct {
	Source      string   `json:"source" doc:"Address and port." example:"198.51.100.7:40000"`
	Destination string   `json:"destination" doc:"Address and port." example:"192.0.2.1:80"`
	Protocol    string   `json:"protocol,omitempty" doc:"tcp or udp. Default tcp."`
	Flags       []string `json:"flags,omitempty" nullable:"false" doc:"TCP flags: syn."`
}

// Explanation is the way of one packet through the live tables. What is past the step
// that decided is left out.
type Explanation struct {
	Flow    Flow     `json:"flow"`
	Reason  string   `json:"reason" example:"forwarded"`
	Service *Service `json:"service,omitempty"`
	Hash    string   `json:"hash,omitempty" doc:"The 32-bit hash of the flow." example:"0x51ccc178"`
	Slot    *uint32  `json:"slot,omitempty" doc:"hash mod table_size."`
	// Current and Base are the two owners of the slot.
	Current   string   `json:"current,omitempty" doc:"The slot's owner."`
	Base      string   `json:"base,omitempty" doc:"The owner of the slot's older flows."`
	Replica   string   `json:"replica,omitempty" doc:"The replica chosen."`
	Rewritten *Flow    `json:"rewritten,omitempty" doc:"The flow as the replica sees it."`
	NextHop   *NextHop `json:"next_hop,omitempty" doc:"How it leaves."`
}

// Flow is a 4-tuple and its protocol.
type Flow struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Protocol    string `json:"protocol"`
}

// NextHop is the layer-2 way to a replica.
type NextHop struct {
	Interface      string `json:"interface"`
	Index          int    `json:"index"`
	SourceMAC      string `json:"source_mac"`
	DestinationMAC string `json:"destination_mac"`
}
