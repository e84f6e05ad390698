package identify

import (
	"fmt"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// MaxObservations is how many observations are read and looked at.
const MaxObservations = 1 << 16

// MaxInput is the length in bytes of the longest raw input: that of the longest key's reach.
const MaxInput = rss.MaxKeyLength - 4

// Observation is what a NIC did with one packet.
type Observation struct {
	// Flow is the packet's; outermost when it is in a tunnel. Of protocols without ports these are 0.
	Flow packet.Flow
	// Inner is the flow in the tunnel; the zero value if there is none.
	Inner packet.Flow
	// Input is what is hashed, in place of Flow and Inner, where it is known.
	Input []byte
	// Hash is the NIC's, if HasHash.
	Hash    uint32
	HasHash bool
	// Queue is the receive queue, if HasQueue.
	Queue    rss.Queue
	HasQueue bool
	// Line is where the observation stands in its file, from 1; 0 if it is from none.
	Line int
}

// subject is what tells observations of different packets apart.
type subject struct {
	flow, inner packet.Flow
	input       string
}

func (o *Observation) subject() subject { return subject{o.Flow, o.Inner, string(o.Input)} }

// validate returns an error when an observation says nothing, or the impossible.
func (o *Observation) validate() error {
	switch {
	case !o.HasHash && !o.HasQueue:
		return fmt.Errorf("neither hash nor queue")
	case o.Input != nil && (o.Flow != packet.Flow{} || o.Inner != packet.Flow{}):
		return fmt.Errorf("both a tuple and a raw input")
	case o.Input != nil && (len(o.Input) == 0 || len(o.Input) > MaxInput):
		return fmt.Errorf("input of %d bytes: want 1 to %d", len(o.Input), MaxInput)
	case o.Input != nil:
		return nil
	}
	if err := validateFlow(o.Flow); err != nil {
		return err
	}
	if o.Inner != (packet.Flow{}) {
		return validateFlow(o.Inner)
	}
	return nil
}

func validateFlow(f packet.Flow) error {
	s, d := f.Source.Addr(), f.Destination.Addr()
	if !s.IsValid() || !d.IsValid() {
		return fmt.Errorf("a tuple without addresses")
	}
	if s.Is4() != d.Is4() {
		return fmt.Errorf("%v to %v: want both of one address family", s, d)
	}
	return nil
}

// class names the packets that a NIC may hash other fields of: "tcp4", "udp6", "ip4" for those without
// ports, or "input".
func class(f packet.Flow, input []byte) string {
	if input != nil {
		return "input"
	}
	name := withoutPorts
	if hasPorts(f) {
		name = f.Protocol.String()
	}
	if f.Source.Addr().Is4() {
		return name + "4"
	}
	return name + "6"
}

// withoutPorts is how classes of packets without ports begin.
const withoutPorts = "ip"

func hasPorts(f packet.Flow) bool {
	return f.Protocol.HasPorts() || f.Source.Port() != 0 || f.Destination.Port() != 0
}
