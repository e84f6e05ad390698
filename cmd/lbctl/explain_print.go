package main

import (
	"fmt"
	"io"

	"lbctl/control/api"
)

func (e explanation) print(w io.Writer) {
	if e.Flow != nil {
		row(w, "flow", flowText(*e.Flow))
	}
	if r := e.RSS; r != nil {
		row(w, "queue", fmt.Sprintf("%d (rss hash %s, entry %d)", r.Queue, r.Hash, r.Index))
	}
	if e.Ingress != nil {
		e.Ingress.print(w)
	}
	row(w, "reason", e.Reason)
	row(w, "action", actionText(e.Action))
	if s := e.Service; s != nil {
		row(w, "service", fmt.Sprintf("%s (%s, %s, %s, %s)", s.Name, s.Mode, s.Scheduler, s.Hash, many(len(s.Replicas), "replica")))
	}
	e.printChoice(w)
	e.printRewrite(w)
	if h := e.NextHop; h != nil {
		row(w, "next hop", fmt.Sprintf("%s, from %s to %s", h.Interface, h.SourceMAC, h.DestinationMAC))
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
		row(w, "hash", e.Hash)
		slot := fmt.Sprintf("%d (owner %s)", *e.Slot, sideText(e.Current))
		if e.Marked {
			slot = fmt.Sprintf("%d, marked (owner %s, of flows from before the change %s)", *e.Slot, sideText(e.Current), sideText(e.Base))
		}
		row(w, "slot", slot)
	}
	if e.Record != "" {
		row(w, "record", e.Record+", "+e.Recorded)
	}
	if e.Replica != "" {
		row(w, "replica", fmt.Sprintf("%s (%s)", e.Replica, choiceText(e.Choice)))
	}
}

// choiceText says why a packet goes to its replica.
func choiceText(choice string) string {
	switch choice {
	case "owner":
		return "it owns the slot"
	case "recorded":
		return "the flow is recorded there"
	case "base":
		return "the flow is from before the change"
	case "current":
		return "it owns the slot now, and the flow has no other"
	}
	return choice
}

func (e explanation) printRewrite(w io.Writer) {
	if e.Rewritten != nil {
		row(w, "rewritten", flowText(*e.Rewritten))
	}
	if o := e.Outer; o != nil {
		row(w, "tunnel", o.Source+" > "+o.Destination)
	}
	title, width := "fields", 0
	for _, f := range e.Rewrite {
		width = max(width, len(f.Field))
	}
	for _, f := range e.Rewrite {
		row(w, title, fmt.Sprintf("%-*s %s > %s", width, f.Field, sideText(f.Before), sideText(f.After)))
		title = " "
	}
}

func flowText(f api.Flow) string {
	return fmt.Sprintf("%s %s > %s", f.Protocol, f.Source, f.Destination)
}
