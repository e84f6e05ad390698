package observe

// Mode is where an observer stands.
type Mode string

const (
	// Auto is the first of the others that the interface allows.
	Auto Mode = "auto"
	// Native is XDP in the driver: frames as they came, before anything is merged.
	Native Mode = "native"
	// Generic is XDP on socket buffers, for drivers without XDP.
	Generic Mode = "generic"
	// Socket is a packet socket that takes nothing. The NIC is not touched (attaching XDP restarts the
	// rings of some), and it sees the hash that the driver put on the socket buffer; but it comes behind
	// XDP programs and behind receive merging (GRO): there a packet may be several. The queue is the one
	// that the driver recorded (skb_record_rx_queue), 0 if none; a veth without NAPI leaves the sender's.
	Socket Mode = "socket"
)

// Options say how to observe. The zero value is ready.
type Options struct {
	// Mode is Auto if empty.
	Mode Mode
	// Flows is the number of (flow, queue, hash) triples held; 0: DefaultFlows.
	Flows uint32
	// Samples is how many bytes of samples wait for their reader, rounded up to a power of two
	// and at least a page; 0: no samples are taken.
	Samples uint32
	// EveryPacket makes all packets samples: none is counted under its flow. It is for a NIC that
	// hashes what is not in the flow, as flow labels and what a tunnel carries.
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

// Mode returns where the observer stands; of one before another program it is empty.
func (o *Observer) Mode() Mode { return o.mode }

// AsksHash tells whether the observer asks for the NIC's hash. Whether the driver answers shows in what it sees.
func (o *Observer) AsksHash() bool { return o.hash }

// Notes say what was tried in vain before the observer came to stand where it does.
func (o *Observer) Notes() []string { return o.notes }
