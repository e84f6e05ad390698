package api

import "time"

// Status is the answer to GET /v1/status: what is, beside what is wanted.
type Status struct {
	Conditions []Condition         `json:"conditions" nullable:"false" doc:"Of the node: Programmed, Ready."`
	Services   []ServiceConditions `json:"services" nullable:"false"`
	Next       string              `json:"next,omitempty" doc:"There are more: ask again with after set to this."`
}

// ServiceConditions are the conditions of one service.
type ServiceConditions struct {
	Name string `json:"name"`
	Endpoint
	Conditions []Condition `json:"conditions" nullable:"false"`
}

// Condition is one thing that is so, or is not.
type Condition struct {
	Type    string     `json:"type" enum:"Programmed,Healthy,Ready" doc:"Programmed: the datapath has it as it is wanted. Healthy: checks have found all replicas well that are to be active. Ready: of a service, it is programmed and a replica takes new flows; of the node, as /readyz."`
	Status  string     `json:"status" enum:"true,false,unknown"`
	Reason  string     `json:"reason" doc:"In a word, for programs." example:"ChecksPass"`
	Message string     `json:"message,omitempty" doc:"In a sentence, for people."`
	Since   *time.Time `json:"since,omitempty" doc:"When the status became so, or the daemon started: within a second, or 10 s where no event tells. Of Healthy: when the health of a replica changed last."`
}
