// Package keys analyses RSS keys and makes them to order: what a key does to the spread of
// structured traffic, and which keys do what is wanted.
//
// The hash is linear over GF(2): input bit i adds to the hash the 32 key bits from place i on, its
// window. All that is said here follows from the windows of the fields' bits: a field moves as many
// bits of the table's index as its windows have rank in the hash's low bits; two fields count alike
// when their windows are equal; a field does not count when its windows are zero. Such wishes are linear
// equations in the key's bits (Zhang et al., "Maestro: Automatic Parallelization of Software Network
// Functions", NSDI 2024, use them across ports), so that a key is found by elimination.
//
// The input is that of rss.FourTuple: source address, destination address, source port,
// destination port. All functions are pure, randomness is handed in.
package keys
