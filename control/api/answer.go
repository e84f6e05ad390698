package api

// Services is the answer to GET /v1/services.
type Services struct {
	Services []Service `json:"services" nullable:"false"`
}

// Replicas is the answer to GET /v1/services/{name}/replicas.
type Replicas struct {
	Replicas []Replica `json:"replicas" nullable:"false"`
}

// Weight is the body of PUT /v1/services/{name}/replicas/{address}.
type Weight struct {
	Weight *int64 `json:"weight,omitempty" doc:"1 to 65535. Default 1."`
}

// Mode is the body of PUT /v1/interfaces/{name}.
type Mode struct {
	Mode string `json:"mode,omitempty" doc:"native, generic or auto. Default auto."`
}

// Interfaces is the answer to GET /v1/interfaces.
type Interfaces struct {
	Interfaces []Attached `json:"interfaces" nullable:"false"`
}

// Attached is an interface that packets come from.
type Attached struct {
	Name  string `json:"name"`
	Index int    `json:"index" doc:"The kernel's number of the interface."`
	Mode  string `json:"mode" enum:"native,generic" doc:"How it is attached."`
	// Asked is the mode of the intent; empty when the intent does not name the interface.
	Asked string `json:"asked,omitempty" doc:"How it was asked to be attached."`
}

// Change is the answer to every mutation: what was done.
type Change struct {
	Revision uint64 `json:"revision" doc:"The revision of the intent afterwards."`
	Steps    []Step `json:"steps" nullable:"false" doc:"The changes of the datapath, in order. Empty when it was right already."`
}

// Step is one atomic change of the datapath.
type Step struct {
	Verb    string   `json:"verb" enum:"set,remove,attach,detach"`
	Target  string   `json:"target" doc:"A VIP or an interface." example:"tcp 192.0.2.1:80"`
	Why     string   `json:"why" example:"new"`
	Mode    string   `json:"mode,omitempty" doc:"The mode of an attach."`
	Service *Service `json:"service,omitempty" doc:"What a set sets."`
}

// Health is the answer to /healthz and /readyz.
type Health struct {
	Status   string `json:"status" example:"ok"`
	Revision uint64 `json:"revision" doc:"The revision of the intent."`
}
