package api

// Verification is the answer to GET /v1/verify and POST /v1/verify/repair.
type Verification struct {
	Drifts     []Drift     `json:"drifts" nullable:"false" doc:"What is not as it should be, the first thousand."`
	Found      uint64      `json:"drift_count" doc:"All of them."`
	Repaired   uint64      `json:"repaired_count" doc:"Those that are as they should be again."`
	SinceStart DriftCounts `json:"since_start" doc:"What the daemon has found and repaired in the kernel by itself, or was told to, since it started."`
}

// DriftCounts counts what was found and repaired.
type DriftCounts struct {
	Found    uint64 `json:"drift_count"`
	Repaired uint64 `json:"repaired_count"`
}

// Drift is something that is not as it should be.
type Drift struct {
	Table    string `json:"table_name" doc:"The table in the kernel, or links, or pins; intent: the daemon itself does not forward as the intent says." example:"replicas"`
	Row      string `json:"row" doc:"Which row, in words." example:"10.1.0.1:8080 of tcp 192.0.2.1:80"`
	Want     string `json:"want" doc:"What should be there." example:"port 8080"`
	Have     string `json:"have" doc:"What is there, or was until it was repaired." example:"port 81"`
	Repaired bool   `json:"is_repaired"`
}
