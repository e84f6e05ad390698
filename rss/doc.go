// Package rss is the arithmetic of receive-side scaling: the key, the Toeplitz
// hash in three forms (the definition, tables, and vector code for many flows at
// once), the other functions that NICs have, the fields of a packet that go into them
// and what is done to those before, and the indirection table that turns the hash
// into a receive queue.
//
// It knows numbers, not packets: package nic puts both together. All types are
// safe for concurrent reads.
//
// Source: Microsoft, "RSS Hashing Functions" (NDIS documentation);
// Krawczyk, "LFSR-based Hashing and Authentication", CRYPTO 1994, for the function.
package rss
