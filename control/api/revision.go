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
	Actor  string    `json:"actor,omitempty" doc:"Who made the change: the user at the other end of the socket, or serve." example:"root"`
	Reason string    `json:"reason,omitempty" doc:"What for." example:"put service web"`
}

// Revision is the answer to GET /v1/revisions/{revision}.
type Revision struct {
	RevisionEntry
	Config Config `json:"config" doc:"The intent as it was then."`
}
