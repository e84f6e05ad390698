package balance

import (
	"fmt"
	"io"
	"net"
	"strconv"

	"lbctl/cmd/cli"
	"lbctl/rss/ingress"
)

func (e explanation) print(w io.Writer) {
	if e.Flow != nil {
		cli.Row(w, "flow", cli.FlowText(*e.Flow))
	}
	if r := e.RSS; r != nil {
		cli.Row(w, "queue", fmt.Sprintf("%d (rss hash %s, entry %d)", r.Queue, r.Hash, r.Index))
	}
	if e.Ingress != nil {
		printIngress(w, e.Ingress)
	}
	cli.Row(w, "reason", e.Reason)
	cli.Row(w, "action", actionText(e.Action))
	if s := e.Service; s != nil {
		cli.Row(w, "service", fmt.Sprintf("%s (%s, %s, %s, %s)", s.Name, s.Mode, s.Scheduler, s.Hash, cli.Many(len(s.Replicas), "replica")))
	}
	e.printChoice(w)
	e.printRewrite(w)
	if h := e.NextHop; h != nil {
		cli.Row(w, "next hop", fmt.Sprintf("%s, from %s to %s", h.Interface, h.SourceMAC, h.DestinationMAC))
	}
}

// actionText says what becomes of a packet.
func actionText(action string) string {
	switch action {
	case "pass":
		return "up to the kernel"
	case "drop":
		return "dropped"
	case "tx":
		return "sent back by the interface that it came in on"
	case "redirect":
		return "sent by another interface"
	case "send":
		return "sent on"
	}
	return action
}

func (e explanation) printChoice(w io.Writer) {
	if e.Slot != nil {
		cli.Row(w, "hash", e.Hash)
		slot := fmt.Sprintf("%d (owner %s)", *e.Slot, cli.SideText(e.Owner))
		if e.InTransition {
			slot = fmt.Sprintf("%d, in transition (owner %s, previous owner %s)", *e.Slot, cli.SideText(e.Owner), cli.SideText(e.PreviousOwner))
		}
		cli.Row(w, "slot", slot)
	}
	if e.Record != "" {
		cli.Row(w, "record", e.Record+", "+e.Recorded)
	}
	if e.Replica != "" {
		cli.Row(w, "replica", fmt.Sprintf("%s (%s)", e.Replica, choiceText(e.Choice)))
	}
}

// choiceText says why a packet goes to its replica.
func choiceText(choice string) string {
	switch choice {
	case "owner":
		return "owner of the slot"
	case "recorded":
		return "the flow is recorded there"
	case "previous_owner":
		return "previous owner of the slot, and the flow is from before the change"
	case "assigned":
		return "owner of the slot, and the flow starts or its replica does not serve"
	}
	return choice
}

func (e explanation) printRewrite(w io.Writer) {
	if e.Rewritten != nil {
		cli.Row(w, "rewritten", cli.FlowText(*e.Rewritten))
	}
	if o := e.Outer; o != nil {
		cli.Row(w, "tunnel", endText(o.Source, o.SourcePort)+" > "+endText(o.Destination, o.DestinationPort))
	}
	title, width := "fields", 0
	for _, f := range e.Rewrite {
		width = max(width, len(f.Field))
	}
	for _, f := range e.Rewrite {
		cli.Row(w, title, fmt.Sprintf("%-*s %s > %s", width, f.Field, cli.SideText(f.Before), cli.SideText(f.After)))
		title = " "
	}
}

// endText is the end of a tunnel, with its port if there is UDP.
func endText(address string, port uint16) string {
	if port == 0 {
		return address
	}
	return "udp " + net.JoinHostPort(address, strconv.Itoa(int(port)))
}

// printIngress prints the queue and core of a packet, or why they are not known.
func printIngress(w io.Writer, a *ingress.Answer) {
	if a.Queue == nil {
		cli.Row(w, "queue", "unknown: "+a.QueueUnknown)
	} else if a.Index != nil {
		cli.Row(w, "queue", fmt.Sprintf("%d of %s (rss hash %s, entry %d)", *a.Queue, a.Interface, a.Hash, *a.Index))
	} else {
		cli.Row(w, "queue", fmt.Sprintf("%d of %s (not hashed)", *a.Queue, a.Interface))
	}
	if a.Core == nil {
		cli.Row(w, "core", "unknown: "+a.CoreUnknown)
	} else {
		cli.Row(w, "core", fmt.Sprintf("%d (interrupt %d, %s)", *a.Core, a.Interrupt, a.InterruptOf))
	}
	for _, n := range a.Notes {
		cli.Row(w, "note", n)
	}
}
