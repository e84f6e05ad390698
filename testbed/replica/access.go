package replica

import "lbctl/rss/packet"

// Access is one line of a replica's access log (JSON, one a line).
type Access struct {
	// Flow is the connection as the replica saw it: client > replica.
	Flow packet.Flow
	// Object is the number of the web object asked for, from 0.
	Object int
	// Status is the HTTP status answered; Bytes the body's length.
	Status, Bytes int
}
