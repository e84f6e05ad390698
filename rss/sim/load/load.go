// Package load makes traffic for rss/sim: streams of arrivals with the RSS hashes of a NIC,
// from a description or from a capture. The times, flows and lengths of a described load come from
// independent random sequences, so that two loads that differ in one of them
// are the same in the others.
//
// A load depends only on its Config, including the Seed.
package load

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"net/netip"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/rss/sim"
)

// Load is a source of traffic. It is immutable and safe for concurrent use; New makes one.
type Load struct {
	config Config
	nic    *nic.NIC
	// flows are the flows that choice draws from; none for Flood.
	flows   []classified
	choice  alias
	lengths alias
}

// classified is the NIC's hash of a flow.
type classified struct {
	hash   uint32
	hashed bool
	queue  rss.Queue // without a hash
}

// The random sequences.
const (
	streamFlows = iota
	streamClock
	streamChoice
	streamLengths
)

func (c Config) random(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(c.Seed, stream)) }

// target is the destination of all flows: port 80 of an address for documentation (RFC 5737).
var target = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 80)

// New makes the load of a config, with the hashes of a NIC. It returns an
// error when the config is invalid.
func New(n *nic.NIC, config Config) (*Load, error) {
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("make load: %w", err)
	}
	l := &Load{config: config, nic: n}
	var weights []float64
	for _, length := range config.Lengths {
		weights = append(weights, length.Weight)
	}
	l.lengths = newAlias(weights)
	if config.Choice != Flood {
		random := config.random(streamFlows)
		l.flows = make([]classified, config.Flows)
		for i := range l.flows {
			l.flows[i] = l.classify(random)
		}
		l.choice = newAlias(config.popularity())
	}
	return l, nil
}

// classify classifies a TCP flow from a random source.
func (l *Load) classify(random *rand.Rand) classified {
	var source [4]byte
	r := random.Uint64()
	binary.BigEndian.PutUint32(source[:], uint32(r))
	flow := packet.Flow{
		Source:      netip.AddrPortFrom(netip.AddrFrom4(source), uint16(r>>32)),
		Destination: target, Protocol: packet.TCP,
	}
	result := l.nic.ClassifyFlow(flow)
	return classified{result.Hash, result.Hashed, result.Queue}
}

// popularity returns the weights of the flows.
func (c Config) popularity() []float64 {
	weights := make([]float64, c.Flows)
	for i := range weights {
		switch {
		case c.Choice == Zipf:
			weights[i] = math.Pow(float64(i+1), -c.Skew)
		case c.Choice == Uniform:
			weights[i] = 1
		case i < c.Elephants:
			weights[i] = c.ElephantShare / float64(c.Elephants)
		default:
			weights[i] = (1 - c.ElephantShare) / float64(c.Flows-c.Elephants)
		}
	}
	return weights
}

// Arrivals returns the traffic. It is endless and the same every time it is ranged over. It does not
// allocate per packet.
func (l *Load) Arrivals() iter.Seq[sim.Arrival] {
	return func(yield func(sim.Arrival) bool) {
		clock := newClock(l.config, l.config.random(streamClock))
		choice, lengths := l.config.random(streamChoice), l.config.random(streamLengths)
		for {
			flow := l.flow(choice)
			length := l.config.Lengths[0].Bytes
			if len(l.config.Lengths) > 1 {
				length = l.config.Lengths[l.lengths.draw(lengths)].Bytes
			}
			if !yield(sim.Arrival{At: clock.next(), Length: length, Hash: flow.hash, Hashed: flow.hashed, Queue: flow.queue}) {
				return
			}
		}
	}
}

// flow chooses the flow of the next packet.
func (l *Load) flow(random *rand.Rand) classified {
	if l.config.Choice == Flood {
		return l.classify(random)
	}
	return l.flows[l.choice.draw(random)]
}
