// Package flows counts packets by flow, for tens of millions of flows: an open-addressing
// index of 8 bytes a place over entries of 64 bytes that never move. Tables grow with the
// number of flows and with nothing else, to at most 100 bytes a flow.
package flows
