package describe

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
)

func describeReplica(a *cli.App) *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:     "replica SERVICE ADDRESS",
		Aliases: []string{"replicas"},
		Short:   "Tell all of one replica of a service",
		Long: `Tell all of one replica of a service: what is declared and set by hand, its health, its share of new flows by weight and of the
packets of the last second (--over), its next hop, and the last events that are about it or change what is wanted of the service.`,
		Example: "  lbctl describe replica web 10.1.0.1:8080",
		Args:    cli.Takes("SERVICE", "ADDRESS"),
	}
	f.add(c)
	a.Complete(c, cli.Services, cli.ReplicasOf)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.check(c); err != nil {
			return err
		}
		d := a.Client()
		defer d.Close()
		s, err := d.Service(c.Context(), args[0])
		if err != nil {
			return err
		}
		p, err := gather(c.Context(), a, d, s.Service, f.over, func(e api.Event) bool { return e.Replica == args[1] || e.Kind == "intent_changed" })
		if err != nil {
			return err
		}
		var names []string
		for _, r := range p.traffic {
			if names = append(names, r.Address); r.Address == args[1] {
				return a.Print(cli.FormatTable, nil, func(w io.Writer) { printReplica(w, r, p) })
			}
		}
		return cli.NotFound("replica", args[1], names, "list what there is: lbctl get replicas "+args[0])
	}
	return c
}

func printReplica(w io.Writer, r api.ReplicaTraffic, p page) {
	of := p.flows[r.Address]
	wanted, got := p.shares(r)
	now := p.rates[r.Address]
	field(w, "Address", r.Address)
	field(w, "Service", fmt.Sprintf("%s (%s %s)", r.ServiceName, r.Protocol, cli.Ranged(r.VIP, r.EndPort)))
	field(w, "State", r.State)
	if r.Declared != nil {
		field(w, "Declared", fmt.Sprintf("%s, weight %d", r.Declared.State, *r.Declared.Weight))
	}
	if o := r.Override; o != nil {
		field(w, "By hand", fmt.Sprintf("%s, by %s since %s", cli.ByHandText(*o), o.Actor, o.Since))
		field(w, "Note", o.Note)
	}
	field(w, "Drain until", r.DrainUntil)
	field(w, "Weight", weight(r.Replica))
	field(w, "Share of new flows", wanted)
	field(w, "Share of packets", got)
	field(w, "Rate", fmt.Sprintf("%.0f packets/s, %.0f bytes/s", now.packets, now.bytes))
	field(w, "Sent", fmt.Sprintf("%d packets, %d bytes", r.Packets, r.Bytes))
	field(w, "Recorded flows", flowsText(of))
	field(w, "Old-flow slots", of.FlowCounts.OldFlowSlots)
	field(w, "Safe to remove", cli.YesNo(of.SafeToRemove))
	if h := r.Health; h != nil {
		field(w, "Health", fmt.Sprintf("%s since %s", h.Status, h.Since.Format(time.RFC3339)))
		field(w, "Last failure", h.Reason)
	}
	field(w, "No packets, because", r.Reason)
	if h := r.NextHop; h != nil {
		field(w, "Next hop", fmt.Sprintf("%s on %s, MAC %s, neighbour %s, MTU %d", h.Neighbour, h.Interface, cli.SideText(h.DestinationMAC), cli.SideText(h.NeighbourState), h.MTU))
	} else {
		field(w, "Next hop", "no route")
	}
	printEvents(w, p.events)
}

func describeInterface(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:     "interface NAME",
		Aliases: []string{"interfaces"},
		Short:   "Tell all of one interface that is wanted or attached",
		Example: "  lbctl describe interface eth0",
		Args:    cli.Takes("NAME"),
	}
	a.Complete(c, cli.Attached)
	c.RunE = func(c *cobra.Command, args []string) error {
		d := a.Client()
		defer d.Close()
		all, err := d.Interfaces(c.Context())
		if err != nil {
			return err
		}
		counters, err := d.Counters(c.Context(), "reason")
		if err != nil {
			return err
		}
		last, err := events(c.Context(), d, "", func(e api.Event) bool { return e.Interface == args[0] })
		if err != nil {
			return err
		}
		var names []string
		for _, i := range all.Interfaces {
			if names = append(names, i.Name); i.Name == args[0] {
				return a.Print(cli.FormatTable, nil, func(w io.Writer) { printInterface(w, i, counters, last) })
			}
		}
		return cli.NotFound("interface", args[0], names, "list what there is: lbctl get interfaces")
	}
	return c
}

func printInterface(w io.Writer, i api.InterfaceStatus, counters api.Counters, last []api.Event) {
	field(w, "Name", i.Name)
	field(w, "State", i.State)
	if i.IfIndex != 0 {
		field(w, "Index", i.IfIndex)
	}
	field(w, "Mode", i.Mode)
	if i.RequestedMode == "" {
		field(w, "Requested", "not by the intent")
	} else {
		field(w, "Requested", i.RequestedMode)
	}
	field(w, "Not as requested", i.Reason)
	for _, l := range counters.Losses {
		if l.Interface == i.Name {
			field(w, "Lost", fmt.Sprintf("%d packets (%s) %s", l.Packets, l.Cause, l.Error))
		}
	}
	if counters.LossesUnknown != "" {
		field(w, "Lost", "not known: "+counters.LossesUnknown)
	}
	printEvents(w, last)
}
