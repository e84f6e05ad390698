package api

// Counters is the answer to GET /v1/counters. They count from when the tables were made.
type Counters struct {
	Packets  uint64         `json:"packets" doc:"Packets seen: the sum over the reasons."`
	Bytes    uint64         `json:"bytes"`
	Reasons  []ReasonCount  `json:"reasons" nullable:"false" doc:"Every packet has exactly one reason."`
	Services []ServiceCount `json:"services" nullable:"false" doc:"Packets forwarded, by service."`
	Replicas []ReplicaCount `json:"replicas" nullable:"false" doc:"Packets forwarded, by service and replica."`

	Losses        []LossCount `json:"losses" nullable:"false" doc:"Packets lost after their verdict, since the daemon started."`
	LossesUnknown string      `json:"losses_unknown" doc:"Why losses cannot be counted; empty if they are."`
}

// LossCount counts packets that were to leave by an interface and did not.
type LossCount struct {
	Interface string `json:"interface" example:"eth1"`
	Cause     string `json:"cause" enum:"redirect,transmit,tx" doc:"redirect: the interface does not take the packet. transmit: its driver does not send it. tx: likewise, on the interface that it came in on."`
	Packets   uint64 `json:"packets"`
	Error     string `json:"error" doc:"Of the last of them, in the kernel's words; may be empty." example:"no such device or address"`
}

// ReasonCount counts the packets whose verdict had one reason.
type ReasonCount struct {
	Reason  string `json:"reason" example:"forwarded"`
	Dropped bool   `json:"is_dropped" doc:"The reason is one to drop a packet."`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// ServiceCount counts the packets forwarded for one service. Name is empty when the
// intent does not know the VIP.
type ServiceCount struct {
	Name string `json:"name"`
	Endpoint
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// ReplicaCount counts the packets forwarded to one replica of one service.
type ReplicaCount struct {
	ServiceName string `json:"service_name"`
	Endpoint
	Replica string `json:"replica" example:"10.1.0.1:8080"`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
	FlowEvents
}

// Probe is the body of POST /v1/explain: a packet that is not sent, by its flow or as a frame.
type Probe struct {
	Source      string   `json:"source,omitempty" doc:"Address and port." example:"198.51.100.7:40000"`
	Destination string   `json:"destination,omitempty" doc:"Address and port." example:"192.0.2.1:80"`
	Protocol    string   `json:"protocol,omitempty" doc:"tcp or udp. Default tcp."`
	Flags       []string `json:"flags,omitempty" nullable:"false" doc:"TCP flags: syn, ack, fin, rst, psh, urg. Default ack, as in an established flow; syn alone is the first packet of a flow."`
	Frame       []byte   `json:"frame,omitzero" required:"false" nullable:"false" doc:"In place of the flow: the packet from its Ethernet header on, at least a byte, in base64."`
	Interface   string   `json:"interface,omitempty" doc:"The attached interface that it comes in on. Default none in particular."`
}

// Probes is the body of POST /v1/explain/batch.
type Probes struct {
	Probes []Probe `json:"probes" nullable:"false" maxItems:"10000"`
	Brief  bool    `json:"brief,omitempty" doc:"Leave out what is long: frames and their difference, and of services all but name, VIP, end_port and protocol."`
}

// Explanations is the answer to POST /v1/explain/batch: one for every probe, in their order.
type Explanations struct {
	Explanations []Explanation `json:"explanations" nullable:"false"`
}

// Explanation is what would happen to one packet, by the live tables, and why. What is past the step
// that decided is left out.
type Explanation struct {
	Flow          *Flow    `json:"flow,omitempty" doc:"The flow that decides: that of the packet, or the one that an ICMP error quotes, as its sender sent it."`
	Error         string   `json:"error,omitempty" doc:"In a batch: why there is no answer for this packet."`
	Reason        string   `json:"reason" example:"forwarded"`
	Action        string   `json:"action,omitempty" enum:"pass,drop,tx,redirect,send" doc:"What becomes of the packet: pass goes up to the kernel, drop is the end, tx leaves by the interface that it came in on, redirect by another one; send is tx or redirect where the request names no interface."`
	Service       *Service `json:"service,omitempty"`
	Hash          string   `json:"hash,omitempty" doc:"The 32-bit hash of the flow." example:"0x51ccc178"`
	Slot          *uint32  `json:"slot,omitempty" doc:"hash mod table_size."`
	Owner         string   `json:"owner,omitempty" doc:"The slot's owner: flows that start go there."`
	PreviousOwner string   `json:"previous_owner,omitempty" doc:"The owner before the change: flows from before go there."`
	InTransition  bool     `json:"in_transition,omitempty" doc:"The slot's owner changed and flows from before may still be with the previous one."`
	Record        string   `json:"record,omitempty" enum:"half_open,established" doc:"The stage of the flow's record: only its first packet has come, or more."`
	Recorded      string   `json:"recorded,omitempty" doc:"The replica that the record names; it may not serve any more."`
	Replica       string   `json:"replica,omitempty" doc:"The replica chosen."`
	Choice        string   `json:"choice,omitempty" enum:"owner,recorded,previous_owner,assigned" doc:"Why: it owns the settled slot; the flow is recorded there; it is the previous owner and the flow is from before the change; it owns the slot and the flow starts, or its replica does not serve any more."`

	Rewritten *Flow    `json:"rewritten,omitempty" doc:"The flow as the replica sees it, or as the client does."`
	Outer     *Tunnel  `json:"outer,omitempty" doc:"The two ends of the outer packet in mode ipip."`
	NextHop   *NextHop `json:"next_hop,omitempty" doc:"The next hop that it leaves to."`
	// Rewrite, Before and After are left out of a brief explanation.
	Rewrite []FieldChange `json:"rewrite,omitempty" doc:"The header fields that differ between the frame as it came and as it leaves or is passed."`
	Before  string        `json:"before,omitempty" doc:"The frame as it came, in hexadecimal."`
	After   string        `json:"after,omitempty" doc:"The frame as it leaves or is passed, in hexadecimal."`
}

// Flow is a 4-tuple and its protocol.
type Flow struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Protocol    string `json:"protocol"`
}

// Tunnel is the two ends of an outer packet.
type Tunnel struct {
	Source          string `json:"source"`
	Destination     string `json:"destination"`
	SourcePort      uint16 `json:"source_port,omitempty" doc:"Of UDP around the packet; left out if there is none."`
	DestinationPort uint16 `json:"destination_port,omitempty"`
}

// NextHop is the layer-2 next hop towards a replica or client.
type NextHop struct {
	Interface      string `json:"interface"`
	IfIndex        int    `json:"ifindex"`
	SourceMAC      string `json:"source_mac"`
	DestinationMAC string `json:"destination_mac"`
}

// Sample is one event of GET /v1/monitor: a packet that came in, and what became of it.
type Sample struct {
	Time        string `json:"time" format:"date-time"`
	Interface   string `json:"interface,omitempty" doc:"The interface that the packet came in on; left out if there is no such interface any more."`
	IfIndex     int    `json:"ifindex" doc:"The index of that interface."`
	Queue       int    `json:"queue" doc:"The receive queue."`
	Core        int    `json:"core" doc:"The core."`
	Flow        *Flow  `json:"flow,omitempty" doc:"The flow of the packet itself, as it came; for an ICMP error not the flow that it is about. It has no ports if the packet has none, as a fragment."`
	Reason      string `json:"reason" example:"forwarded"`
	ServiceName string `json:"service_name,omitempty" doc:"The name of the service that the packet goes to or answers from; left out if it has none."`
	VIP         string `json:"vip,omitempty" example:"192.0.2.1:80" doc:"Its address and port, of several the first; that of the packet is in flow."`
	Protocol    string `json:"protocol,omitempty" doc:"The protocol of the service."`
	Replica     string `json:"replica,omitempty" doc:"The replica that the packet goes to or comes from, also if the packet is dropped."`
	Length      int    `json:"length" doc:"The length of the frame in bytes, Ethernet header included."`
	Frame       []byte `json:"frame" nullable:"false" doc:"The beginning of the frame as it came, at most 256 bytes, in base64."`
	Lost        uint64 `json:"lost,omitempty" doc:"How many samples have been lost since the event before: they came faster than they were read."`
}
