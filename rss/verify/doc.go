// Package verify holds what was seen of a NIC against a model of it: for each packet, whether
// it came on the queue that the model names and, where the NIC tells its hash, with the hash that
// the model computes. It says which kinds of packets disagree, with examples, and whether the
// agreement that there is could be chance.
package verify
