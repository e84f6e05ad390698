package api

import "time"

// Status is the answer to GET /v1/status: what is, beside what is wanted.
type Status struct {
	Conditions []Condition         `json:"conditions" nullable:"false" doc:"Of the node: Programmed, Ready."`
	Services   []ServiceConditions `json:"services" nullable:"false"`
	Next       string              `json:"next,omitempty" doc:"There are more: ask again with after set to this."`
}

// ServiceConditions are the conditions of one service, and how many replicas it has of which kind.
type ServiceConditions struct {
	Name string `json:"name"`
	Endpoint
	Mode string `json:"mode" enum:"nat,dsr,ipip"`
	ReplicaCounts
	HealthDisregarded bool        `json:"is_health_disregarded" doc:"Its replicas that are to be active are all unhealthy, and by on_all_unhealthy all get traffic."`
	Conditions        []Condition `json:"conditions" nullable:"false"`
}

// ReplicaCounts are how many replicas a service has: each is counted in Down, Unreachable, Unhealthy, Draining or Active, the first of
// these that holds.
type ReplicaCounts struct {
	Active      int    `json:"active_count" doc:"To be active, and not known to be unhealthy." example:"2"`
	Starting    int    `json:"starting_count" doc:"Those of the active ones that do not have all of their share yet (slow_start)." example:"1"`
	Started     *int64 `json:"starting_percent,omitempty" doc:"The least percentage of its share that one of them has; left out where there is none." example:"40"`
	Draining    int    `json:"draining_count" doc:"Draining, and not known to be unhealthy." example:"0"`
	Down        int    `json:"down_count" doc:"Down by the operator, whatever else is so." example:"0"`
	Unhealthy   int    `json:"unhealthy_count" doc:"Unhealthy by checks." example:"0"`
	Unreachable int    `json:"unreachable_count" doc:"No packet gets to them: reason of GET /v1/replicas says why." example:"0"`
	Unknown     int    `json:"unknown_count" doc:"Those of the active and draining ones that are checked, and of which nothing is known." example:"0"`
	All         int    `json:"replica_count" example:"2"`
}

// Condition is one thing that is so, or is not.
type Condition struct {
	Type    string     `json:"type" enum:"Programmed,Healthy,Ready" doc:"Programmed: the datapath has it as it is wanted. Healthy: checks have found all replicas well that are to be active. Ready: of a service, it is programmed and a replica takes new flows; of the node, as /readyz."`
	Status  string     `json:"status" enum:"true,false,unknown"`
	Reason  string     `json:"reason" doc:"In a word, for programs." example:"ChecksPass"`
	Message string     `json:"message,omitempty" doc:"In a sentence, for people."`
	Since   *time.Time `json:"since,omitempty" doc:"When the status became so, or the daemon started: within a second, or 10 s where no event tells. Of Healthy: when the health of a replica changed last."`
}
