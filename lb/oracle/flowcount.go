package oracle

import (
	"encoding/binary"
	"net/netip"

	"lbctl/lb"
)

// FlowEffect is what a packet says of a flow of a replica. The zero value is nothing.
type FlowEffect struct {
	VIP     lb.VIP
	Replica netip.AddrPort
	Count   lb.FlowCount
}

// countBegun counts a packet that has been given to a replica and begins a flow.
func (d *decision) countBegun() {
	if d.begins && !d.only {
		d.effects.Count = FlowEffect{d.vip, d.why.Replica, lb.FlowCount{Begun: 1}}
	}
}

// countReset counts an answer with RST: a later fragment and an error have no flags of their own. One that answers a SYN has an ACK
// and the sequence number 0 (RFC 9293, section 3.10.7.1).
func (d *decision) countReset() {
	if !d.isRST {
		return
	}
	n := lb.FlowCount{Resets: 1}
	if segment := d.segment(); segment[tcpFlags]&tcpACK != 0 && binary.BigEndian.Uint32(segment[tcpSequence:]) == 0 {
		n.Refusals = 1
	}
	d.effects.Count = FlowEffect{d.vip, d.flow.Source, n}
}

// countFlow adds what a packet says.
func (t *tables) countFlow(e FlowEffect) {
	if e.Count == (lb.FlowCount{}) {
		return
	}
	n := t.counters.Flows[e.VIP][e.Replica]
	n.Begun, n.Resets, n.Refusals = n.Begun+e.Count.Begun, n.Resets+e.Count.Resets, n.Refusals+e.Count.Refusals
	t.counters.Flows[e.VIP][e.Replica] = n
}
