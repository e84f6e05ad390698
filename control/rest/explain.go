package rest

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"

	"lbctl/control/api"
	"lbctl/control/framediff"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// wireExplanation writes an explanation in wire form, a brief one without frames.
func wireExplanation(i intent.Intent, p lb.Probe, e lb.Explanation, brief bool) api.Explanation {
	w := api.Explanation{Reason: string(e.Reason), Action: actionOf(e.Reason, p.Ingress, e.NextHop.Index)}
	w.Flow = wireFlow(e.Flow)
	if w.Flow == nil {
		w.Flow = wireFlow(p.Flow)
	}
	if e.Service != nil {
		w.Service = wireFound(i.NameOf(e.Service.VIP), *e.Service, brief)
	}
	if e.Owner.IsValid() || e.PreviousOwner.IsValid() {
		w.Hash, w.Slot = fmt.Sprintf("0x%08x", e.Hash), &e.Slot
	}
	w.Owner, w.PreviousOwner, w.InTransition = text(e.Owner), text(e.PreviousOwner), e.InTransition
	w.Record, w.Recorded = string(e.Record), text(e.Recorded)
	w.Replica, w.Choice = text(e.Replica), string(e.Choice)
	w.Rewritten = wireFlow(e.Rewritten)
	if o := e.Outer; o != (lb.Tunnel{}) {
		w.Outer = &api.Tunnel{Source: o.Source.String(), Destination: o.Destination.String(), SourcePort: o.SourcePort, DestinationPort: o.DestinationPort}
	}
	if h := e.NextHop; h != (lb.NextHop{}) {
		w.NextHop = &api.NextHop{Interface: h.Interface, IfIndex: h.Index,
			SourceMAC: mac(h.Source), DestinationMAC: mac(h.Destination)}
	}
	if !brief {
		wireFrames(&w, e.Before, e.After, e.Outer.DestinationPort)
	}
	return w
}

// wireFound returns the service of a packet; in a brief form its name, VIP, ports and protocol.
func wireFound(name string, s lb.Service, brief bool) *api.Service {
	if brief {
		return &api.Service{Name: name, VIP: s.VIP.Address.String(), Protocol: s.VIP.Protocol.String(), EndPort: wire.EndPort(s)}
	}
	service := wire.NamedService(name, s)
	return &service
}

func wireFrames(w *api.Explanation, before, after []byte, tunnel uint16) {
	w.Before, w.After = hex.EncodeToString(before), hex.EncodeToString(after)
	if after != nil {
		w.Rewrite = framediff.Diff(before, after, tunnel)
	}
}

// wireFlow returns nil for the zero flow.
func wireFlow(f packet.Flow) *api.Flow {
	if f == (packet.Flow{}) {
		return nil
	}
	return &api.Flow{Source: text(f.Source), Destination: text(f.Destination), Protocol: f.Protocol.String()}
}

// text returns "" for no address.
func text(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func mac(m lb.MAC) string { return net.HardwareAddr(m[:]).String() }

// What becomes of a packet.
const (
	pass     = "pass"
	drop     = "drop"
	transmit = "tx"
	redirect = "redirect"
	// send is tx or redirect: the interface that the packet comes in on is not known.
	send = "send"
)

// actionOf returns what becomes of a packet with a reason. Ingress and egress are the indexes of the
// interfaces that it comes in on and leaves by; ingress 0 is not known.
func actionOf(r lb.Reason, ingress, egress int) string {
	switch r {
	case lb.Forwarded, lb.Returned, lb.ErrorForwarded, lb.ErrorReturned:
		return sendOn(ingress, egress)
	case lb.EchoAnswered, lb.TooBigAnswered, lb.Rejected:
		return transmit
	case lb.NotIP, lb.VLANTagged, lb.OtherMAC, lb.NotTCPUDP, lb.NotOurs, lb.ForThisHost, lb.IPv6Extension, lb.TTLExpired,
		lb.NeighbourMissing, lb.TooBigPassed, lb.SuperPacketPassed:
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
