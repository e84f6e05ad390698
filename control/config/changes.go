package config

import (
	"fmt"
	"net/netip"
	"time"

	"lbctl/control/api"
	"lbctl/control/reconcile"
)

// Changes returns what differs between two intents and no step of a datapath shows: names of services,
// deadlines, and the modes that interfaces are asked to be attached in.
func Changes(old, next Intent) []api.FieldChange {
	var all []api.FieldChange
	add := func(before, after, field string, args ...any) {
		if before != after {
			all = append(all, api.FieldChange{Field: fmt.Sprintf(field, args...), Before: before, After: after})
		}
	}
	had := old.ByVIP()
	for _, s := range next.Services {
		was, there := had[s.VIP]
		if there {
			add(was.Name, s.Name, "services[%s].name", was.Name)
		}
		if len(was.Deadlines)+len(s.Deadlines) == 0 {
			continue
		}
		for _, r := range s.Replicas {
			add(was.deadline(r.Address), s.deadline(r.Address), "services[%s].replicas[%v].drain_until", s.Name, r.Address)
		}
	}
	asked := modes(old.Interfaces)
	for _, i := range next.Interfaces {
		if was, there := asked[i.Name]; there {
			add(was, i.Mode.String(), "interfaces[%s].mode", i.Name)
		}
	}
	return all
}

// deadline returns when a replica is set down, in the words of a document, "" for never.
func (s Service) deadline(replica netip.AddrPort) string {
	t, ok := s.Deadlines[replica]
	if !ok {
		return ""
	}
	return t.Format(time.RFC3339)
}

func modes(all []reconcile.Attachment) map[string]string {
	m := make(map[string]string, len(all))
	for _, a := range all {
		m[a.Name] = a.Mode.String()
	}
	return m
}
