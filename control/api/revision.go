package api

import "time"

// Revisions is the answer to GET /v1/revisions.
type Revisions struct {
	Revisions []RevisionEntry `json:"revisions" nullable:"false" doc:"Those that are kept, the latest first: at least the last hundred."`
}

// RevisionEntry is a line of the intent's history.
type RevisionEntry struct {
	Number uint64    `json:"revision" minimum:"1"`
	Time   time.Time `json:"time,omitzero" doc:"When it was stored."`
	Actor  string    `json:"actor,omitempty" doc:"Who made the change: the user at the other end of the socket, a token, a certificate, or serve." example:"root"`
	Origin string    `json:"origin,omitempty" doc:"Where it came from." example:"unix socket, uid 0, pid 4711"`
	Reason string    `json:"reason,omitempty" doc:"What for." example:"put service web"`
}

// Revision is the answer to GET /v1/revisions/{revision}.
type Revision struct {
	RevisionEntry
	Config  Config        `json:"config" doc:"The intent as it was then."`
	Changes []FieldChange `json:"differences,omitempty" doc:"What it changed of the revision before, old and new, if that is kept."`
	Omitted int           `json:"differences_omitted,omitempty" doc:"How many more there are, at the least."`
}
