package api

// Event is one event of GET /v1/events: something that has happened.
type Event struct {
	ID       string   `json:"event_id" doc:"Of the header Last-Event-ID with which a stream goes on after this event. Later events have larger ones, also after a restart of the daemon." example:"1896094800000-17"`
	Time     string   `json:"time" format:"date-time"`
	Kind     string   `json:"kind" doc:"Readers should pass over kinds that they do not know." enum:"intent_changed,replica_changed,health_changed,interface_missing,interface_attached,out_of_sync,in_sync,link_changed,link_gone,link_lost,next_hop_changed,mended,events_lost,gap"`
	Revision uint64   `json:"revision" doc:"That of the intent afterwards."`
	Services []string `json:"service_names,omitempty" doc:"The services that it is about, a hundred at most; of a change of the intent those that are not as before."`

	Actor     string `json:"actor,omitempty" doc:"Who has changed the intent." example:"root"`
	Reason    string `json:"reason,omitempty" doc:"What for, or why; what was mended." example:"put service web"`
	Interface string `json:"interface,omitempty" example:"eth0"`
	VIP       string `json:"vip,omitempty" example:"192.0.2.1:80" doc:"Of a service with several ports it has the first."`
	Protocol  string `json:"protocol,omitempty"`
	Replica   string `json:"replica,omitempty" example:"10.1.0.1:8080"`
	Before    string `json:"before,omitempty" doc:"The replica's effective state before." example:"active"`
	After     string `json:"after,omitempty" doc:"The replica's effective state now; of its next hop, resolved or unresolved." example:"down"`
	Lost      uint64 `json:"lost,omitempty" doc:"Of a gap: how many events are not kept any more; left out where that is not known, after a restart."`
}
