package api

// Override is what was set by hand on a replica, over what the configuration declares: the body of
// PUT /v1/services/{name}/replicas/{address}/override. What is left out is as declared.
type Override struct {
	State      string `json:"state,omitempty" enum:"active,draining,down" doc:"In the place of the declared state; left out: as declared."`
	DrainUntil string `json:"drain_until,omitempty" doc:"When a draining replica is set down, whatever flows it has: an RFC 3339 time in whole seconds. Default never." example:"2030-01-31T12:00:00Z"`
	Weight     *int64 `json:"weight,omitempty" minimum:"1" maximum:"65535" doc:"In the place of the declared weight, 1 to 65535; left out: as declared."`
	Note       string `json:"note,omitempty" maxLength:"200" doc:"Why, in a line." example:"disk is being replaced"`
	Actor      string `json:"actor,omitempty" readOnly:"true" doc:"Who set it." example:"root"`
	Since      string `json:"since,omitempty" readOnly:"true" format:"date-time" doc:"When it was set."`
}

// Declared is what the configuration says of a replica.
type Declared struct {
	Weight     *int64 `json:"weight"`
	State      string `json:"state" enum:"active,draining,down"`
	DrainUntil string `json:"drain_until,omitempty"`
}

// ReplicaOverride is an override and the replica that it is of.
type ReplicaOverride struct {
	ServiceName string `json:"service_name" example:"web"`
	Replica     string `json:"replica" doc:"Address and port." example:"10.1.0.1:8080"`
	Override
	Declared *Declared `json:"declared,omitempty" readOnly:"true" required:"false" doc:"What the configuration says of the replica."`
}

// OverrideChange is what a change does to what was set by hand on a replica.
type OverrideChange struct {
	Verb string `json:"verb" enum:"kept,set,taken_back,removed" doc:"removed: with its replica."`
	ReplicaOverride
}

// Overrides are all that was set by hand: the answer to GET /v1/overrides, and the body of PUT.
type Overrides struct {
	Overrides []ReplicaOverride `json:"overrides" nullable:"false" doc:"In the order of services and replicas."`
}
