package lb

// Reasons returns every reason, in the order of their declaration.
func Reasons() []Reason {
	return []Reason{
		Forwarded, Returned,
		NotIP, VLANTagged, NotTCPUDP, NotOurs, Fragment, IPOptions, IPv6Extension, TTLExpired, NeighbourMissing,
		MalformedEthernet, MalformedIP, MalformedL4, NoReplica, NoRoute, TooBig, TableFault,
	}
}
