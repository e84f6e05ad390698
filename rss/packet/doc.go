// Package packet has views of the headers in a frame, a parser that sees what a
// NIC's parser sees, and a builder of valid frames.
//
// A view is a named byte slice with tiny accessors, one type a header. A view does
// not check its length: Parse does, and so must who makes a view without it; an
// accessor of a field past the end panics. Setters write through to the frame and
// leave checksums alone.
//
// Nothing here allocates except the builder and the String methods. Views of
// different frames may be used concurrently.
package packet
