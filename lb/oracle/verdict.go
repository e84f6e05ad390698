package oracle

import (
	"fmt"

	"lbctl/lb"
)

// Action is what becomes of a frame.
type Action uint8

const (
	// Drop: nothing is sent.
	Drop Action = iota
	// Pass: the frame goes up to the kernel.
	Pass
	// Transmit: the frame leaves by the interface that it came on (XDP_TX).
	Transmit
	// Redirect: the frame leaves by another interface (XDP_REDIRECT).
	Redirect
)

// String returns "drop", "pass", "tx" or "redirect".
func (a Action) String() string {
	switch a {
	case Drop:
		return "drop"
	case Pass:
		return "pass"
	case Transmit:
		return "tx"
	case Redirect:
		return "redirect"
	}
	return fmt.Sprintf("action-%d", uint8(a))
}

// Verdict is what a datapath did with one frame.
type Verdict struct {
	Action Action
	Reason lb.Reason
	// Frame is what was sent or passed; of a dropped frame, what came in.
	Frame []byte
	// Egress is the interface's index of a frame that was sent, else 0.
	Egress int
}

// actionOf returns the action of a reason; Transmit stands for Redirect too.
func actionOf(r lb.Reason) Action {
	switch r {
	case lb.Forwarded, lb.Returned, lb.ErrorForwarded, lb.ErrorReturned, lb.EchoAnswered, lb.TooBigAnswered:
		return Transmit
	case lb.NotIP, lb.VLANTagged, lb.NotTCPUDP, lb.NotOurs, lb.IPv6Extension, lb.TTLExpired, lb.NeighbourMissing:
		return Pass
	}
	return Drop
}

// sendOn returns how a frame is sent.
func sendOn(ingress, egress int) Action {
	if ingress == egress {
		return Transmit
	}
	return Redirect
}
