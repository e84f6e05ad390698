package api

import "time"

// Services is the answer to GET /v1/services.
type Services struct {
	Next     string    `json:"next,omitempty" doc:"There are more: ask again with after set to this."`
	Services []Service `json:"services" nullable:"false"`
}

// Pools is the answer to GET /v1/pools.
type Pools struct {
	Pools []PoolStatus `json:"pools" nullable:"false"`
	Next  string       `json:"next,omitempty" doc:"There are more: ask again with after set to this."`
}

// PoolStatus is a pool and who uses it. It is the answer to GET /v1/pools/{name}, and can be the body of a PUT, which ignores
// the fields that are read-only.
type PoolStatus struct {
	Pool
	UsedBy []string `json:"used_by" readOnly:"true" required:"false" nullable:"false" doc:"The services that use it, in order."`
}

// ServiceStatus is a service and what is recorded of its flows. It is the answer to
// GET /v1/services/{name}, and can be the body of a PUT, which ignores the fields that are read-only.
type ServiceStatus struct {
	Service
	SlotsInTransition uint32 `json:"slots_in_transition" readOnly:"true" required:"false" doc:"Slots whose owner changed and whose flows from before may still be with the previous owner."`
}

// Replicas is the answer to GET /v1/services/{name}/replicas.
type Replicas struct {
	Replicas []ReplicaStatus `json:"replicas" nullable:"false"`
}

// ReplicaStatus is a replica and what is recorded of its flows.
type ReplicaStatus struct {
	Replica
	FlowCounts   ReplicaFlows   `json:"flow_counts"`
	Rate         Rate           `json:"lately" doc:"What is sent to it now, measured while it drains."`
	Reason       string         `json:"reason,omitempty" doc:"Why no packet gets there, whatever its state: the address has become the balancer's own, or one of several hosts."`
	Health       *ReplicaHealth `json:"health,omitempty" required:"false" doc:"What checks have found; left out where there are none."`
	SafeToRemove bool           `json:"safe_to_remove" doc:"The replica is draining or down and, as far as is known, no flow would be broken if it were removed."`
	ByHand
}

// ByHand is the part of a replica's status that says what is not as declared, and how far a drain has come.
type ByHand struct {
	DrainPhase string    `json:"drain_phase,omitempty" enum:"draining,drained,ended" doc:"Of a replica that is to drain. draining: it may have flows; drained: as far as is known it has none, and can be removed (not told of in /v1/replicas, which counts no flows); ended: its deadline came, it is down."`
	Override   *Override `json:"override,omitempty" doc:"What was set by hand; left out if nothing was."`
	Declared   *Declared `json:"declared,omitempty" doc:"What the configuration says, where that is not what is shown."`
}

// Endpoint is where clients find a service: no other one has its VIP and protocol.
type Endpoint struct {
	VIP      string `json:"vip" doc:"Address and port, of several the first." example:"192.0.2.1:80"`
	EndPort  *int64 `json:"end_port,omitempty" doc:"The last port of a service that has several." example:"8099"`
	Protocol string `json:"protocol"`
}

// Traffic is the answer to GET /v1/replicas.
type Traffic struct {
	Replicas []ReplicaTraffic `json:"replicas" nullable:"false" doc:"In the order of the configuration, or of the names of their services."`
	Next     string           `json:"next,omitempty" doc:"There are more services: ask again with after set to this."`
}

// ReplicaTraffic is a replica of a service and what is sent to it. Recorded flows are not among it: to count them is a pass over
// all that there are.
type ReplicaTraffic struct {
	ServiceName string `json:"service_name"`
	Endpoint
	Replica
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
	FlowEvents
	Rate   Rate   `json:"lately" doc:"What is sent to it now, measured while it drains."`
	Reason string `json:"reason,omitempty" doc:"As in ReplicaStatus."`
	ByHand

	Health  *ReplicaHealth `json:"health,omitempty" required:"false" doc:"As in ReplicaStatus."`
	NextHop *ReplicaHop    `json:"next_hop,omitempty" doc:"How packets to it leave, if the request asks for next_hops; left out where no route leads there."`
}

// FlowEvents are what packets have said of the flows of a replica since the tables were made.
type FlowEvents struct {
	NewFlows uint64 `json:"new_flows" doc:"Packets that begin a flow and were given to it: of TCP each SYN, also one that is sent again; of UDP, with tracking always, those whose flow was not recorded."`
	Resets   uint64 `json:"resets" doc:"Its answers with RST, in mode nat."`
	Refusals uint64 `json:"refusals" doc:"Those of the resets that answer a SYN: connections refused."`
}

// ReplicaHealth is what checks have found of a replica.
type ReplicaHealth struct {
	Status string    `json:"status" enum:"healthy,unhealthy,unknown" doc:"unhealthy: it gets no traffic, whatever its state, unless no replica is healthy and the service disregards that. unknown: it counts as healthy."`
	Since  time.Time `json:"since" doc:"When that became so, or when the daemon started."`
	Reason string    `json:"reason,omitempty" doc:"What was found last that is not as it should be, or why nothing is known." example:"connection refused"`

	StartingPercent *int64 `json:"starting_percent,omitempty" doc:"How much of its share it gets, of one that has become healthy lately and takes it step by step (slow_start)." example:"40"`
}

// ReplicaHop is the layer-2 next hop towards a replica.
type ReplicaHop struct {
	NextHop
	Neighbour      string `json:"neighbour" doc:"The host that frames are sent to: the replica or a gateway."`
	NeighbourState string `json:"neighbour_state,omitempty" enum:"incomplete,reachable,stale,delay,probe,failed,noarp,permanent" doc:"What the kernel knows of it, as ip neighbour shows it; left out where the kernel has no entry."`
	Resolved       bool   `json:"is_resolved" doc:"Its MAC address is known. Where it is not, packets go up to the kernel, which looks for it."`
	MTU            int    `json:"mtu" doc:"The greatest IP packet that goes there, in bytes."`
}

// RecordedFlows is the answer to GET /v1/services/{name}/flows.
type RecordedFlows struct {
	Flows []RecordedFlow `json:"recorded_flows" nullable:"false" doc:"By client."`
	Next  string         `json:"next,omitempty" doc:"There may be more: ask again with after set to this."`
}

// RecordedFlow is the record of one flow of a client.
type RecordedFlow struct {
	Client          string   `json:"client" example:"198.51.100.7:40000"`
	Replica         string   `json:"replica" example:"10.1.0.1:8080"`
	Record          string   `json:"record" enum:"half_open,established" doc:"Only its first packet has come, or more."`
	ClosedByClient  bool     `json:"is_closed_by_client"`
	ClosedByReplica bool     `json:"is_closed_by_replica" doc:"Of the modes dsr and ipip not known: what the client closes counts for both."`
	SilentFor       Duration `json:"silent_for" doc:"How long no packet came, in eighths of the service's idle time, rounded down." example:"1m15s"`
}

// Rate is how many packets are sent to a replica.
type Rate struct {
	Known            bool    `json:"is_known" doc:"It was measured lately: of a replica that drains, from the second second on."`
	PacketsPerSecond float64 `json:"packets_per_second" doc:"The mean of the last second or more; 0 where it is not known."`
}

// ReplicaFlows is what is recorded of the flows of one replica.
type ReplicaFlows struct {
	Established  uint64 `json:"established" doc:"Recorded flows of which more packets have come."`
	HalfOpen     uint64 `json:"half_open" doc:"Recorded flows of which only the first packet has come."`
	OldFlowSlots uint32 `json:"old_flow_slots" doc:"Slots in transition whose old flows go to this replica."`
	AtLeast      bool   `json:"at_least" doc:"The replica may have more flows than the recorded ones: how many is not known."`
}

// Flows is the answer to GET /v1/flows: what is recorded of flows.
type Flows struct {
	Services []ServiceFlows `json:"services" nullable:"false" doc:"In the order of the configuration, or of their names."`
	Next     string         `json:"next,omitempty" doc:"There are more: ask again with after set to this."`
}

// ServiceFlows is what is recorded of the flows of one service.
type ServiceFlows struct {
	Name string `json:"name"`
	Endpoint
	Tracking          string          `json:"tracking"`
	Slots             uint32          `json:"slots" doc:"Slots of the table; 0 without an active replica."`
	SlotsInTransition uint32          `json:"slots_in_transition" doc:"Slots whose owner changed and whose flows from before may still be with the previous owner."`
	Replicas          []ReplicaStatus `json:"replicas" nullable:"false"`
}

// ReplicaSpec is the body of PUT /v1/services/{name}/replicas/{address}: a replica without its
// address. A field that is left out gets its default, whatever it was before.
type ReplicaSpec struct {
	Weight     *int64 `json:"weight,omitempty" doc:"1 to 65535. Default 1."`
	State      string `json:"state,omitempty" doc:"active (gets new flows), draining (keeps those that it has) or down (gets nothing). Default active."`
	DrainUntil string `json:"drain_until,omitempty" doc:"When a draining replica is set down, whatever flows it has: an RFC 3339 time in whole seconds. One that has passed sets it down at once. Default never." example:"2030-01-31T12:00:00Z"`
}

// Mode is the body of PUT /v1/interfaces/{name}.
type Mode struct {
	Mode string `json:"mode,omitempty" doc:"native, generic or auto. Default auto."`
}

// Interfaces is the answer to GET /v1/interfaces.
type Interfaces struct {
	Interfaces []InterfaceStatus `json:"interfaces" nullable:"false" doc:"By name."`
}

// InterfaceStatus is an interface that the intent names, or that is attached although the intent does not name it.
type InterfaceStatus struct {
	Name          string `json:"name"`
	State         string `json:"state" enum:"attached,missing"`
	IfIndex       int    `json:"ifindex,omitempty" doc:"The kernel's number of the interface; left out while it is missing."`
	Mode          string `json:"mode,omitempty" enum:"native,generic" doc:"How it is attached; left out while it is missing."`
	RequestedMode string `json:"requested_mode,omitempty" enum:"auto,native,generic" doc:"The mode that the intent asks for; left out when the intent does not name the interface."`
	Reason        string `json:"reason,omitempty" doc:"Why it is not attached as the intent asks. The daemon tries again every second."`
}

// Change is the answer to every mutation: what was done.
type Change struct {
	Revision  uint64           `json:"revision" doc:"The revision of the intent afterwards."`
	Steps     []Step           `json:"steps" nullable:"false" doc:"The changes of the datapath, in order. Empty when nothing had to change."`
	Intent    []FieldChange    `json:"intent,omitempty" doc:"Changes of the intent that need no step: names of services, drain deadlines, requested modes of interfaces."`
	Overrides []OverrideChange `json:"overrides,omitempty" doc:"What was set by hand and is set, taken back or removed now; in an answer about another configuration also what is kept."`
	Warnings  []Warning        `json:"warnings,omitempty" doc:"Where an interface was attached: why packets will be lost or misdirected without an error, as far as that is known."`
}

// Warning is what the doctor finds that makes packets vanish, and its cure.
type Warning struct {
	Check    string `json:"check" example:"transmit"`
	Severity string `json:"severity" enum:"problem,warning" doc:"problem: all packets, or most; warning: some."`
	Subject  string `json:"subject" example:"eth1" doc:"An interface, a VIP or a replica."`
	Others   int    `json:"others,omitempty" doc:"How many other subjects have the same."`
	Seen     string `json:"seen"`
	Why      string `json:"why" doc:"What depends on it."`
	Cure     string `json:"cure" doc:"A shell command, or a comment of the shell."`
	Where    string `json:"where,omitempty" doc:"Where to run it; left out: here."`
}

// Step is one atomic change of the datapath.
type Step struct {
	Verb string `json:"verb" enum:"set,remove,attach,detach"`
	Why  string `json:"why" example:"new"`
	// VIP, EndPort and Protocol are of set and remove, Interface is of attach and detach.
	VIP       string   `json:"vip,omitempty" example:"192.0.2.1:80" doc:"Address and port, of several the first."`
	EndPort   *int64   `json:"end_port,omitempty" doc:"The last port of a service that has several."`
	Protocol  string   `json:"protocol,omitempty"`
	Interface string   `json:"interface,omitempty" example:"eth0"`
	Mode      string   `json:"mode,omitempty" doc:"The mode, of an attach."`
	Service   *Service `json:"service,omitempty" doc:"The service, of a set."`
	Effect    *Effect  `json:"effect,omitempty" doc:"In a plan: what the step does to the flows of a service that exists."`
}

// Effect says what a planned step does to a service that is there already.
type Effect struct {
	Changes    []FieldChange `json:"changes" nullable:"false" doc:"What is different afterwards."`
	MovedParts uint64        `json:"moved_parts" doc:"The hash values are divided into equal parts, as many as parts says; this many of them get another owner. While the table's size and hash stay, a part is a slot."`
	Parts      uint64        `json:"parts"`
	Share      float64       `json:"share" doc:"moved_parts / parts."`
	// FlowsEnded are those of replicas that are removed or set down.
	FlowsEnded uint64 `json:"flows_ended" doc:"Recorded flows of replicas that are removed or set down."`
	AtLeast    bool   `json:"at_least" doc:"More flows than the recorded ones may end: one of these replicas is active, or has flows from before a change."`
}

// FieldChange is one field of a service before and after; a side is empty where there is no such thing.
type FieldChange struct {
	Field  string `json:"field" example:"replicas[10.1.0.1:8080].state"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Health is the answer to /healthz and /readyz.
type Health struct {
	Status   string `json:"status" example:"ok"`
	Revision uint64 `json:"revision" doc:"The revision of the intent."`
}

// Problem is an RFC 9457 problem, the body of every answer that is not 2xx, with one
// extension: hint.
type Problem struct {
	Type   string  `json:"type,omitempty" doc:"about:blank: the status says the kind."`
	Title  string  `json:"title" doc:"The status in words."`
	Status int     `json:"status"`
	Detail string  `json:"detail" doc:"What went wrong, one line."`
	Hint   string  `json:"hint,omitempty" doc:"What to do, one line."`
	Errors []Field `json:"errors,omitempty" doc:"The fields that are wrong."`
}

// Field is one wrong field of a request.
type Field struct {
	Location string `json:"location" example:"body.services[0].vip"`
	Pointer  string `json:"pointer,omitempty" doc:"The same in the body, as the URI fragment of a JSON pointer (RFC 6901)." example:"#/services/0/vip"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns application/problem+json for application/json.
func (p *Problem) ContentType(string) string { return "application/problem+json" }
