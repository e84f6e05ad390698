// Package load makes traffic for rss/sim: streams of arrivals with the RSS hashes that
// a NIC would give them. When packets come, of which flow they are and how long they are
// is chosen independently, each by a random sequence of its own, so that two loads
// that differ in one of these are the same in the others.
//
// Everything depends on the Config alone, its Seed included.
package load
