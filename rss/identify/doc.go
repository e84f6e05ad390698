// Package identify finds out what a NIC hashes, and how, from what it was seen to do: pairs of a
// packet's tuple and the hash, or the queue, that the NIC gave it.
//
// The Toeplitz hash is linear over GF(2) in the key: bit j of the hash (0 is the most significant one) is
// the initial value's bit j, plus the key's bits i+j for the input bits i that are set. Each pair is up to 32
// equations in the bits of key and initial value, and one system holds all of them. It is solved for
// each way in which NICs are known to arrange the input: in which order, which header, which fields. A
// wrong arrangement contradicts itself after a few pairs more than there are unknowns. Hashes without a
// secret (known keys, also byte-reversed and the like, xor, crc32) are computed and compared.
//
// What counts is evidence: the number of bits that were observed and could have contradicted, that is equations
// minus rank. By chance a wrong model survives e of them with probability 2^-e.
//
// Queues tell less than hashes: of a table with a multiple of 2^a entries that is filled in turn over a
// multiple of 2^a queues, the low a bits. Over an odd number of queues only known keys can be tested.
//
// Wrong observations (another key or table at that time, another packet) are tolerated up to Tolerance: models
// are then solved from random orders of the observations, each taking in what does not contradict. That
// finds the model when some order begins with right ones only: 5 to 12 hashes, and as many
// queues as give 100 (IPv4) to 300 (IPv6) equations.
package identify
