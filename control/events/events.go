// Package events tells what has happened: the events of the engine as readers of the API see them, one after the other, from
// where a reader was before, also across a restart of the daemon.
package events

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/lb"
)

// The kinds of events that are not those of lb.EventKind.
const (
	IntentChanged     = "intent_changed"
	ReplicaChanged    = "replica_changed"
	HealthChanged     = "health_changed"
	InterfaceMissing  = "interface_missing"
	InterfaceAttached = "interface_attached"
	OutOfSync         = "out_of_sync"
	InSync            = "in_sync"
	// Gap: events between the one before and the one after it are not told.
	Gap = "gap"
)

// id is that of the event of a number.
func id(epoch, number uint64) string { return fmt.Sprintf("%d-%d", epoch, number) }

// parse reads an id. The error is an *intent.Error.
func parse(text string) (epoch, number uint64, err error) {
	before, after, _ := strings.Cut(text, "-")
	epoch, wrong := strconv.ParseUint(before, 10, 64)
	number, wrong2 := strconv.ParseUint(after, 10, 64)
	if wrong != nil || wrong2 != nil {
		var ps intent.Problems
		ps.Add("header.Last-Event-ID", `want the event_id of an event, as in 1896094800000-17, or leave it out`, "%.100q is no id", text)
		return 0, 0, ps.Err()
	}
	return epoch, number, nil
}

// of returns an event as readers see it.
func of(epoch uint64, e engine.Event) api.Event {
	w := api.Event{ID: id(epoch, e.Number), Time: e.Time.UTC().Format(time.RFC3339Nano), Revision: e.Revision, Services: e.Services}
	switch n := e.News.(type) {
	case engine.IntentChanged:
		w.Kind, w.Actor, w.Reason = IntentChanged, n.Actor, n.Reason
	case engine.ReplicaChanged:
		w.Kind, w.Reason, w.Replica = ReplicaChanged, n.Why, n.Replica.String()
		w.VIP, w.Protocol = n.VIP.Address.String(), n.VIP.Protocol.String()
		w.Before, w.After = n.Before.String(), n.After.String()
	case engine.HealthChanged:
		w.Kind, w.Reason, w.Replica = HealthChanged, n.Reason, n.Replica.String()
		w.VIP, w.Protocol = n.VIP.Address.String(), n.VIP.Protocol.String()
		w.Before, w.After = n.Before.String(), n.After.String()
	case engine.InterfaceMissing:
		w.Kind, w.Interface, w.Reason = InterfaceMissing, n.Interface, n.Reason
	case engine.InterfaceAttached:
		w.Kind, w.Interface = InterfaceAttached, n.Interface
	case engine.OutOfSync:
		w.Kind, w.Reason = OutOfSync, n.Reason
	case engine.InSync:
		w.Kind = InSync
	case engine.Network:
		network(&w, n.Event)
	}
	return w
}

// network describes an event of the datapath.
func network(w *api.Event, e lb.Event) {
	w.Kind, w.Interface, w.Reason = string(e.Kind), e.Interface, e.Detail
	if e.Kind != lb.NextHopChanged {
		return
	}
	w.Replica, w.After = e.Replica.String(), "unresolved"
	if e.Resolved {
		w.After = "resolved"
	}
}
