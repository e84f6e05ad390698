package server

import (
	"fmt"
	"net"
	"net/netip"

	"lbctl/control/api"
	"lbctl/control/config"
	"lbctl/lb"
	"lbctl/rss/packet"
)

func wireExplanation(i config.Intent, f packet.Flow, e lb.Explanation) api.Explanation {
	w := api.Explanation{Flow: wireFlow(f), Reason: string(e.Reason)}
	if e.Service == nil {
		return w
	}
	service := config.WireService(i.NameOf(e.Service.VIP), *e.Service)
	w.Service = &service
	if !e.Current.IsValid() {
		return w
	}
	w.Hash, w.Slot = fmt.Sprintf("0x%08x", e.Hash), &e.Slot
	w.Current, w.Base, w.Replica = text(e.Current), text(e.Base), text(e.Replica)
	if e.Rewritten != (packet.Flow{}) {
		rewritten := wireFlow(e.Rewritten)
		w.Rewritten = &rewritten
	}
	if h := e.NextHop; h != (lb.NextHop{}) {
		w.NextHop = &api.NextHop{Interface: h.Interface, Index: h.Index,
			SourceMAC: mac(h.Source), DestinationMAC: mac(h.Destination)}
	}
	return w
}

func wireFlow(f packet.Flow) api.Flow {
	return api.Flow{Source: text(f.Source), Destination: text(f.Destination), Protocol: f.Protocol.String()}
}

// text is "" for no address.
func text(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func mac(m lb.MAC) string { return net.HardwareAddr(m[:]).String() }
