// Package gf2 is linear algebra over GF(2), the field of two elements: bit vectors, and systems
// of linear equations solved by elimination. In it addition is exclusive or.
//
// The Toeplitz hash is linear over GF(2) in the packet's bits for a fixed key, and in the key's
// bits for a fixed packet. That is why keys can be analysed, made to order, and recovered.
//
// Nothing here is safe for concurrent writes.
package gf2
