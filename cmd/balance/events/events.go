// Package events has the command that prints what has happened, and what happens.
package events

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
)

// Command returns lbctl events.
func Command(a *cli.App) *cobra.Command {
	var w client.Wanted
	c := &cobra.Command{
		Use:   "events",
		Short: "Print what has happened, and what happens",
		Long: `Print what has happened since the daemon started, the last two thousand events at least, one line each: time
(UTC), the intent's revision afterwards, kind, what it is about, and why. --follow goes on as things happen, also
after a restart of the daemon; Ctrl-C ends it with exit code 0. An event gap says that some before it are not told.

Kinds: intent_changed, replica_changed (its effective state, and the intent has not changed), health_changed,
interface_attached, interface_missing, in_sync, out_of_sync, mended (others had changed the kernel's tables or links), link_changed, link_gone,
link_lost, next_hop_changed, events_lost, gap.`,
		Example: `  lbctl events
  lbctl events --follow --service web
  lbctl events --follow -o json | jq 'select(.kind == "replica_changed")'
  lbctl events --after 1896094800000-17 -o json`,
		Args: cli.Takes(),
	}
	c.Flags().BoolVarP(&w.Follow, "follow", "w", false, "go on with events as they happen")
	c.Flags().StringVar(&w.Service, "service", "", "only events about this service")
	c.Flags().StringVar(&w.After, "after", "", "only events after the one with this event_id")
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		d := a.Client()
		defer d.Close()
		show := printer(a.Stdout, *f)
		for e, err := range d.Events(c.Context(), w) {
			if err != nil && c.Context().Err() != nil {
				return nil
			}
			if err == nil {
				err = show(e)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

// printer returns what prints an event on a line of its own.
func printer(out io.Writer, f cli.Format) func(api.Event) error {
	if f == cli.FormatJSON {
		lines := cli.JSONLines(out)
		return func(e api.Event) error { return lines.Encode(e) }
	}
	const line = "%-24s  %8v  %-18s  %-32s  %s\n"
	_, broken := fmt.Fprintf(out, line, "TIME", "REVISION", "KIND", "ABOUT", "WHY")
	return func(e api.Event) error {
		_, err := fmt.Fprintf(out, line, stamp(e.Time), e.Revision, e.Kind, cmp.Or(about(e), "-"), cmp.Or(why(e), "-"))
		return errors.Join(broken, err)
	}
}

// stamp is a time to the millisecond.
func stamp(text string) string {
	whole, fraction, _ := strings.Cut(strings.TrimSuffix(text, "Z"), ".")
	return whole + "." + (fraction + "000")[:3] + "Z"
}

// about is what an event is about: a replica, an interface, or services.
func about(e api.Event) string {
	const most = 3
	services := strings.Join(e.Services[:min(len(e.Services), most)], ",")
	if more := len(e.Services) - most; more > 0 {
		services += fmt.Sprintf(" and %d more", more)
	}
	return strings.TrimSpace(services + " " + cmp.Or(e.Replica, e.Interface))
}

// why is what is said of it beside.
func why(e api.Event) string {
	said := e.Reason
	switch {
	case e.Before != "":
		said = fmt.Sprintf("%s > %s: %s", e.Before, e.After, e.Reason)
	case e.After != "":
		said = e.After
	case e.Actor != "":
		said += " (" + e.Actor + ")"
	}
	return said
}
