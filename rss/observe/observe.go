// Package observe records the packets of each flow in the kernel, by an XDP or socket program: their receive queue,
// their CPU, and the NIC's hash where the driver reports it.
package observe

import (
	"lbctl/rss"
	"lbctl/rss/packet"
)

// Flow is the packets of one direction of a flow.
type Flow struct {
	Flow    packet.Flow
	Packets uint64
	// Queues counts packets by receive queue.
	Queues map[rss.Queue]uint64
	// CPUs are the cores that processed them, ascending.
	CPUs []int
}

// Sighting is the packets of a flow that came on one queue with one hash.
type Sighting struct {
	Flow  packet.Flow
	Queue rss.Queue
	// Hash is the NIC's, if Hashed.
	Hash    uint32
	Hashed  bool
	Packets uint64
	// CPUs are the cores that processed them, ascending.
	CPUs []int
}

// Mode is the place where packets are observed.
type Mode string

const (
	// Auto is the first of the modes below that the interface allows.
	Auto Mode = "auto"
	// Native is XDP in the driver: frames as they came, before anything is merged.
	Native Mode = "native"
	// Generic is XDP on socket buffers, for drivers without XDP.
	Generic Mode = "generic"
	// Socket is a packet socket whose filter drops every packet. It does not touch the NIC (attaching XDP
	// restarts the rings of some), and reads the hash that the driver put on the socket buffer. But it is
	// after XDP programs and after GRO, so that one packet may stand for several. The queue is the one
	// that the driver recorded (skb_record_rx_queue), 0 if none; a veth without NAPI leaves the sender's.
	Socket Mode = "socket"
)

// Options say how to observe. The zero value is ready.
type Options struct {
	// Mode is Auto if empty.
	Mode Mode
	// Flows is the number of (flow, queue, hash) triples held; 0: DefaultFlows.
	Flows uint32
	// Samples is the size of the buffer for samples in bytes, rounded up to a power of two
	// and at least a page; 0: no samples are taken.
	Samples uint32
	// EveryPacket makes every packet a sample, so that none is counted under its flow. It is for a NIC that
	// hashes fields that are not in the flow, such as flow labels and the inner packets of tunnels.
	EveryPacket bool
}

// DefaultSamples holds some 15,000 samples.
const DefaultSamples = 4 << 20

func (o Options) withDefaults() Options {
	if o.Mode == "" {
		o.Mode = Auto
	}
	if o.Flows == 0 {
		o.Flows = DefaultFlows
	}
	return o
}

// Mode returns the mode of the observer; empty for one made by Alone or Before.
func (o *Observer) Mode() Mode { return o.mode }

// AsksHash tells whether the observer asks the driver for the NIC's hash. A driver that does not answer leaves
// Hashed false.
func (o *Observer) AsksHash() bool { return o.hash }

// Notes are the modes that were tried before, with the reason why each failed.
func (o *Observer) Notes() []string { return o.notes }
