// Package survive is the experiment that shows that no connection breaks when replicas change:
// real TCP connections through the real daemon live through changes of all kinds, floods, deaths of
// the daemon, swaps of its program and switches of tables.
//
// Four services, each with its VIP's port and its port at the replicas, are changed at the same time:
// one with h mod N and one with a Maglev table that remember flows where a change made it necessary, one that
// remembers every flow, and as a control one that remembers none. Two more have a single purpose: other is
// the neighbour of those that are flooded, sink takes frames that are counted.
package survive
