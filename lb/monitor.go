package lb

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// Sample is one packet that came in, and what became of it.
type Sample struct {
	// Time is when the packet was decided about.
	Time   time.Time
	Reason Reason
	// Service is that to which the packet goes, or from which it is an answer; the zero VIP if there is none.
	Service VIP
	// Replica is that to which the packet goes, or would if nothing had stopped it, or from which it comes; the zero
	// value if there is none.
	Replica netip.AddrPort
	// Interface and Index are where it came in; the name is "" if there is no such interface any more.
	Interface string
	Index     int
	// Queue is the receive queue, CPU the core.
	Queue rss.Queue
	CPU   int
	// Length is that of the frame in bytes, Ethernet header included.
	Length int
	// Frame is the beginning of the frame as it came, at most SampleBytes. It is shared and must not be written to.
	Frame []byte
}

// SampleBytes is how many bytes of a frame a sample has.
const SampleBytes = 256

// SampleBuffer is how many samples wait to be read before further ones are lost.
const SampleBuffer = 1024

// Filter says which packets are sampled. The zero value is all.
type Filter struct {
	// Reasons are those that are wanted; none stands for all.
	Reasons []Reason
	// Service is the one whose packets are wanted; the zero VIP stands for all, and those of none.
	Service VIP
	// Flow is that of the packet itself, as it came.
	Flow FlowFilter
	// Every is N to sample one in N of the packets that pass the rest of the filter, beginning with the first; each
	// CPU counts by itself. 0 stands for 1.
	Every uint32
}

// FlowFilter says which flows are wanted: those that it does not contradict. The zero value is all, and packets without a flow.
type FlowFilter struct {
	// Source and Destination have the addresses; the zero Prefix stands for all.
	Source, Destination netip.Prefix
	// Port is that of either end, DestinationPort of the destination; 0 stands for all, and packets without ports.
	Port, DestinationPort uint16
	// Protocol is that of the IP packet; 0 stands for all.
	Protocol packet.Protocol
}

// wants reports whether the flow of a frame is wanted, as far as the beginning of the frame tells.
func (f FlowFilter) wants(frame []byte) bool {
	if f == (FlowFilter{}) {
		return true
	}
	h, _ := packet.Parse(frame) // what can be read of it is
	has := func(p netip.Prefix, a netip.AddrPort) bool { return !p.IsValid() || p.Contains(a.Addr()) }
	to := h.Flow.Destination.Port()
	return h.Flow != (packet.Flow{}) && has(f.Source, h.Flow.Source) && has(f.Destination, h.Flow.Destination) &&
		(f.Protocol == 0 || f.Protocol == h.Flow.Protocol) &&
		(f.DestinationPort == 0 || h.Ports && f.DestinationPort == to) &&
		(f.Port == 0 || h.Ports && (f.Port == to || f.Port == h.Flow.Source.Port()))
}

// Validate returns an error that wraps ErrInvalid if a reason is not known.
func (f Filter) Validate() error {
	for _, r := range f.Reasons {
		if _, err := ParseReason(string(r)); err != nil {
			return err
		}
	}
	return nil
}

// Wants reports whether the sample passes the filter, apart from Every.
func (f Filter) Wants(s Sample) bool {
	if len(f.Reasons) > 0 && !slices.Contains(f.Reasons, s.Reason) {
		return false
	}
	return (f.Service == VIP{} || f.Service == s.Service) && f.Flow.wants(s.Frame)
}

// ParseReason reads the name of a reason. Its error wraps ErrInvalid.
func ParseReason(name string) (Reason, error) {
	if r := Reason(name); slices.Contains(Reasons(), r) {
		return r, nil
	}
	return "", fmt.Errorf("%w reason %q: want one of %v", ErrInvalid, name, Reasons())
}

// Monitor is a stream of samples. It never delays packets: if its reader is too slow, samples are lost and counted.
// It is safe for concurrent use.
type Monitor interface {
	// Samples returns the samples in the order of their CPU. It is closed when the monitor is, or the
	// dataplane.
	Samples() <-chan Sample
	// Lost is how many samples have been lost since the monitor began. It may include samples that only other
	// monitors wanted.
	Lost() uint64
	// Close ends the stream; samples that wait can still be read. A second call does nothing.
	Close() error
}
