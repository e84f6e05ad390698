package rest

import "lbctl/lb"

// What becomes of a packet.
const (
	pass     = "pass"
	drop     = "drop"
	transmit = "tx"
	redirect = "redirect"
	// send is one of the two before, where the interface that the packet comes in on is not told.
	send = "send"
)

// actionOf returns what becomes of a packet that came in on an interface, 0 for none in
// particular, and leaves by another.
func actionOf(r lb.Reason, ingress, egress int) string {
	switch r {
	case lb.Forwarded, lb.Returned, lb.ErrorForwarded, lb.ErrorReturned:
		return sendOn(ingress, egress)
	case lb.EchoAnswered, lb.TooBigAnswered:
		return transmit
	case lb.NotIP, lb.VLANTagged, lb.NotTCPUDP, lb.NotOurs, lb.IPv6Extension, lb.TTLExpired, lb.NeighbourMissing:
		return pass
	}
	return drop
}

func sendOn(ingress, egress int) string {
	switch ingress {
	case 0:
		return send
	case egress:
		return transmit
	}
	return redirect
}
