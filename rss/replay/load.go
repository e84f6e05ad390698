package replay

// Load is what came to one place. A flow counts once, where its first packet went.
type Load struct {
	Packets uint64 `json:"packets"`
	// Bytes are those on the wire, also of packets that were not captured whole.
	Bytes uint64 `json:"bytes"`
	Flows uint64 `json:"flows"`
}

func (l *Load) add(bytes uint64) {
	l.Packets++
	l.Bytes += bytes
}

// By returns the load in a measure.
func (l Load) By(m Measure) uint64 {
	if m == Bytes {
		return l.Bytes
	}
	return l.Packets
}
