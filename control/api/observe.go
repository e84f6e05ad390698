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
