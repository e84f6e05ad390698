package api

// Sample is one event of GET /v1/monitor: a packet that came in, and what became of it.
type Sample struct {
	Time      string `json:"time" format:"date-time"`
	Interface string `json:"interface,omitempty" doc:"Where it came in; left out if there is no such interface any more."`
	Index     int    `json:"index" doc:"The index of that interface."`
	Queue     int    `json:"queue" doc:"The receive queue."`
	CPU       int    `json:"cpu" doc:"The core."`
	Flow      *Flow  `json:"flow,omitempty" doc:"That of the packet itself, as it came: of an ICMP error not the one that it is about. Without ports where it has none, as fragments."`
	Reason    string `json:"reason" example:"forwarded"`
	Service   string `json:"service,omitempty" doc:"The service that it is to, or an answer from, as far as it has a name."`
	VIP       string `json:"vip,omitempty" example:"tcp 192.0.2.1:80"`
	Replica   string `json:"replica,omitempty" doc:"The replica that it is to or from, also where it does not get there."`
	Length    int    `json:"length" doc:"Of the frame in bytes, Ethernet header included."`
	Frame     []byte `json:"frame" nullable:"false" doc:"The beginning of the frame as it came, at most 256 bytes, in base64."`
	Lost      uint64 `json:"lost,omitempty" doc:"How many samples have been lost since the event before: they came faster than they were read."`
}
