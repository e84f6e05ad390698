package replica

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
)

const keptText = `What is set by hand is kept apart from the configuration: lbctl apply, another configuration of
lbctl serve -f and a restart keep it, until it is taken back, or the replica is removed. lbctl get overrides lists it.`

// handFlag are the flags of commands that set replicas by hand.
type handFlag struct {
	host, note string
	dry        bool
}

func (f *handFlag) add(c *cobra.Command) {
	c.Flags().StringVar(&f.host, "host", "", "in the place of SERVICE and ADDRESS: all replicas at this address, of all services, in one change")
	c.Flags().StringVar(&f.note, "note", "", "why, in a line: it is shown with the replica")
	c.Flags().BoolVar(&f.dry, "dry-run", false, "say what it would do, and change nothing")
}

// place checks what the command is to act on: either a replica of a service, or a host.
func (f *handFlag) place(c *cobra.Command, args []string) (service, address string, host netip.Addr, err error) {
	if c.Flags().Changed("host") {
		if len(args) > 0 {
			return "", "", host, cli.Usage(c, "--host and %s: want one of the two", args[0])
		}
		if host, err = netip.ParseAddr(f.host); err != nil {
			return "", "", host, cli.Usage(c, "--host: %q is not an address: want one without a port, as in 10.1.0.1", f.host)
		}
		return "", "", host.Unmap(), nil
	}
	if len(args) < 2 {
		return "", "", host, cli.Usage(c, "missing SERVICE and ADDRESS, or --host ADDRESS")
	}
	r, err := (&replicaFlag{weight: 1}).parse(c, args[1])
	return args[0], r.Address, host, err
}

// set sets what the command is to act on.
func (f *handFlag) set(c *cobra.Command, d *client.Client, args []string, decide client.ByHand) (api.Change, error) {
	service, address, host, err := f.place(c, args)
	if err != nil {
		return api.Change{}, err
	}
	if f.host != "" {
		return d.SetHostByHand(c.Context(), host, f.dry, f.noted(c, decide))
	}
	return d.SetByHand(c.Context(), service, address, f.dry, f.noted(c, decide))
}

// noted adds the note of --note.
func (f *handFlag) noted(c *cobra.Command, decide client.ByHand) client.ByHand {
	return func(service string, r api.Replica, now api.ByHand) (*api.Override, error) {
		o, err := decide(service, r, now)
		if o != nil && c.Flags().Changed("note") {
			o.Note = f.note
		}
		return o, err
	}
}

// handVerb makes a command that sets replicas by hand. decided says how, given the arguments.
func handVerb(a *cli.App, c *cobra.Command, decided func(c *cobra.Command, args []string) (client.ByHand, error)) *cobra.Command {
	f := &handFlag{}
	f.add(c)
	c.Long += "\n\n" + keptText
	a.Complete(c, cli.Services, cli.ReplicasOf)
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		decide, err := decided(c, args)
		if err != nil {
			return err
		}
		d := a.Client()
		defer d.Close()
		done, err := f.set(c, d, placeOf(c, args), decide)
		if err != nil {
			return err
		}
		return a.Print(*output, done, func(w io.Writer) { printByHand(w, done, f.dry) })
	}
	return c
}

// placeOf are the arguments that name a replica: those before the number that a weight has.
func placeOf(c *cobra.Command, args []string) []string {
	if c.Name() == "weight" {
		return args[:len(args)/2*2]
	}
	return args
}

// printByHand prints what was set by hand, or would be.
func printByHand(w io.Writer, done api.Change, dry bool) {
	if dry {
		fmt.Fprintln(w, "dry run, nothing has changed:")
	}
	cli.PrintOverrides(w, done.Overrides)
	if len(done.Overrides) == 0 {
		fmt.Fprintln(w, "nothing to do: it is so already")
	}
}

// changed returns a copy of what was set by hand, to be changed.
func changed(now api.ByHand) *api.Override {
	o := &api.Override{}
	if now.Override != nil {
		*o = *now.Override
	}
	return o
}

// orNothing returns an override, nil if it sets nothing.
func orNothing(o *api.Override) *api.Override {
	if o.State == "" && o.Weight == nil {
		return nil
	}
	return o
}

// inState puts a replica into a state by hand, whatever it is declared.
func inState(state, until string) client.ByHand {
	return func(_ string, _ api.Replica, now api.ByHand) (*api.Override, error) {
		o := changed(now)
		o.State, o.DrainUntil = state, until
		return o, nil
	}
}

// activated has a replica serve again: as declared, if that is active, else by hand.
func activated(_ string, r api.Replica, now api.ByHand) (*api.Override, error) {
	o, declared := changed(now), r.State
	if now.Declared != nil {
		declared = now.Declared.State
	}
	o.State, o.DrainUntil = "", ""
	if declared != lb.Active.String() {
		o.State = lb.Active.String()
	}
	return orNothing(o), nil
}

func downCommand(a *cli.App) *cobra.Command {
	return handVerb(a, &cobra.Command{
		Use: "down SERVICE ADDRESS", Short: "Send a replica nothing, by hand",
		Long:    `Send a replica nothing, not even packets of the flows that it has: those go to others and break. To let them end, drain it.`,
		Example: "  lbctl down web 10.1.0.1:8080 --note 'disk is being replaced'\n  lbctl down --host 10.1.0.1",
		Args:    cli.Takes("[SERVICE]", "[ADDRESS]"),
	}, func(*cobra.Command, []string) (client.ByHand, error) { return inState(lb.Down.String(), ""), nil })
}

func upCommand(a *cli.App) *cobra.Command {
	return handVerb(a, &cobra.Command{
		Use: "up SERVICE ADDRESS", Short: "Have a replica serve again that was down or drains",
		Long: `Have a replica serve again that was down or drains. Where the configuration has it active, its state is as declared from now
on; where it has not, it is active by hand. A weight that was set by hand stays.`,
		Example: "  lbctl up web 10.1.0.1:8080\n  lbctl up --host 10.1.0.1",
		Args:    cli.Takes("[SERVICE]", "[ADDRESS]"),
	}, func(*cobra.Command, []string) (client.ByHand, error) { return activated, nil })
}

func undrainCommand(a *cli.App) *cobra.Command {
	host := false
	return handVerb(a, &cobra.Command{
		Use: "undrain SERVICE ADDRESS", Short: "End the draining of a replica: it gets new flows again",
		Long: `End the draining of a replica: it gets new flows again, also if its deadline has come and it is down. A replica that was
set down otherwise stays down: lbctl up.`,
		Example: "  lbctl undrain web 10.1.0.1:8080\n  lbctl undrain --host 10.1.0.1",
		Args:    cli.Takes("[SERVICE]", "[ADDRESS]"),
	}, func(c *cobra.Command, _ []string) (client.ByHand, error) {
		host = c.Flags().Changed("host")
		return func(service string, r api.Replica, now api.ByHand) (*api.Override, error) {
			switch {
			case now.DrainPhase != "":
				return activated(service, r, now)
			case !host && r.State == lb.Down.String():
				err := fmt.Errorf("undrain %s of %s: %w: it is down, and does not drain", r.Address, service, lb.ErrConflict)
				return nil, cli.Advise(err, "have it serve again: lbctl up %s %s", service, r.Address)
			}
			return now.Override, nil
		}, nil
	})
}

func weightCommand(a *cli.App) *cobra.Command {
	reset := false
	c := handVerb(a, &cobra.Command{
		Use: "weight SERVICE ADDRESS N", Short: "Set the weight of a replica by hand",
		Long:    `Set the weight of a replica by hand: its share of a maglev table relative to the others. With --reset it is as declared.`,
		Example: "  lbctl weight web 10.1.0.1:8080 5\n  lbctl weight web 10.1.0.1:8080 --reset\n  lbctl weight --host 10.1.0.1 --reset",
		Args:    cli.Takes("[SERVICE]", "[ADDRESS]", "[N]"),
	}, func(c *cobra.Command, args []string) (client.ByHand, error) {
		if reset != (len(args)%2 == 0) || len(args) == 1 && !c.Flags().Changed("host") {
			return nil, cli.Usage(c, "want SERVICE ADDRESS and either N or --reset")
		}
		if reset {
			return weighted(nil), nil
		}
		text := args[len(args)-1]
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 || n > 65535 {
			return nil, cli.Usage(c, "%q is not a weight: want 1 to 65535; to send a replica nothing: lbctl down", text)
		}
		return weighted(&n), nil
	})
	c.Flags().BoolVar(&reset, "reset", false, "have the weight as declared")
	return c
}

func weighted(n *int64) client.ByHand {
	return func(_ string, _ api.Replica, now api.ByHand) (*api.Override, error) {
		o := changed(now)
		o.Weight = n
		return orNothing(o), nil
	}
}

func takeBackCommand(a *cli.App) *cobra.Command {
	all, dry := false, false
	c := &cobra.Command{
		Use: "take-back [SERVICE [ADDRESS]]", Short: "Have replicas as the configuration declares them",
		Long:    `Take back what was set by hand on a replica, on those of a service, or, with --all, on all: they are as the configuration declares them.`,
		Example: "  lbctl take-back web\n  lbctl take-back web 10.1.0.1:8080\n  lbctl take-back --all --dry-run",
		Args:    cli.Takes("[SERVICE]", "[ADDRESS]"),
	}
	c.Flags().BoolVar(&all, "all", false, "on all replicas of all services")
	c.Flags().BoolVar(&dry, "dry-run", false, "say what it would do, and change nothing")
	a.Complete(c, cli.Services, cli.ReplicasOf)
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if all == (len(args) > 0) {
			return cli.Usage(c, "want either SERVICE or --all")
		}
		d := a.Client()
		defer d.Close()
		done, err := takeBack(c, d, args, dry)
		if err != nil {
			return err
		}
		return a.Print(*output, done, func(w io.Writer) { printByHand(w, done, dry) })
	}
	return c
}

func takeBack(c *cobra.Command, d *client.Client, args []string, dry bool) (api.Change, error) {
	switch len(args) {
	case 0:
		return d.TakeBack(c.Context(), "", dry)
	case 1:
		return d.TakeBack(c.Context(), args[0], dry)
	}
	r, err := (&replicaFlag{weight: 1}).parse(c, args[1])
	if err != nil {
		return api.Change{}, err
	}
	return d.SetByHand(c.Context(), args[0], r.Address, dry, func(string, api.Replica, api.ByHand) (*api.Override, error) { return nil, nil })
}
