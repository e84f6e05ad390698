// Package survive is the experiment that shows that no connection breaks when replicas change:
// real TCP connections through the real daemon live through changes of all kinds, floods, deaths of
// the daemon, also in the middle of an apply, swaps of its program and switches of tables.
//
// Four services, each with its VIP's port and its port at the replicas, are changed at the same time:
// one with h mod N and one with a Maglev table that remember flows where a change made it necessary, one that
// remembers every flow, and as a control one that remembers none. Two more have replicas of their own and are not
// flooded: other is opened connections to, sink takes frames that are counted and SYNs that nobody answers.
//
// What has to become of a connection is worked out here, from what was asked of the load balancer and, where flows
// are not remembered, from tables made with lb/scheduler and hashed with lb/oracle: the load balancer is never asked where a
// connection is. Each message has other bytes, which come back behind the number of the replica.
package survive
