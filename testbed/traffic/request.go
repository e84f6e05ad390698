package traffic

import "lbctl/rss/packet"

// Request is one request as the client saw it.
type Request struct {
	// Connection numbers the connections of a run from 0; Flow is client > VIP.
	Connection int
	Flow       packet.Flow
	// Object is the number of the web object asked for, from 0.
	Object int
	Status int
	Bytes  int
	// Replica is what the replica called itself in its answer (header X-Replica).
	Replica int
	// Err is empty when the right bytes came back: status 200, length and SHA-256 as expected.
	Err string
}
