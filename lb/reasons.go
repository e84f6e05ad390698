package lb

// Reasons returns every reason, in the order of their declaration.
func Reasons() []Reason {
	return []Reason{
		Forwarded, Returned, ErrorForwarded, ErrorReturned, EchoAnswered, TooBigAnswered,
		NotIP, VLANTagged, NotTCPUDP, NotOurs, IPv6Extension, TTLExpired, NeighbourMissing,
		NeighbourPending, MalformedEthernet, MalformedIP, MalformedL4, FragmentOrphan, Hairpin,
		NoReplica, NoRoute, TooBig, TableFault,
	}
}
