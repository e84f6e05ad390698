// Package nic is a model of the receive side of a multi-queue NIC: given a frame
// or a flow it says which fields are hashed, the hash, the entry of the
// indirection table and the queue. Profiles of real NICs say how theirs is set up.
//
// Its rules are Microsoft's (NDIS documentation, "RSS Hashing Types"): a fragment, the
// first included, hashes on the addresses alone, and ports are found behind
// IPv4 options and IPv6 extension headers. VLAN tags are looked behind, tunnels are where the
// set-up says so. What is not IP, and what cannot be parsed, goes to queue 0 without a hash.
package nic
