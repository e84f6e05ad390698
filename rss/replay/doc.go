// Package replay sends a capture through the model of a NIC: which queue every packet and flow
// would have come to, how even that is and why not more, which packets would have left their flow,
// how load moved over time, and what another set-up would have changed.
//
// The file is streamed. What is held grows with the number of flows, by at most 200 bytes
// each, and with nothing else.
//
// A flow is one direction of a conversation as the NIC sees it (nic.Result.Flow): the fragments
// of all datagrams between two hosts are one flow without ports, and what an outer header hides
// is its flow. Where that tears apart what the receiver knows as one flow, it is an affinity
// violation.
package replay
