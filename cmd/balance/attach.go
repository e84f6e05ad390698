package balance

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/steps"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
	"lbctl/lb/doctor"
)

func attachCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "attach IFACE",
		Short: "Balance the packets that come in on an interface",
		Long: `Attach the load balancer to an interface of the daemon's network namespace, and print the mode
that it is attached in, and what lbctl doctor knows of packets that will vanish. It stays attached until
lbctl detach, also while no daemon runs. --dry-run prints the steps and how the interface is now, and changes nothing; whether the
driver can do what a mode asks is known only when it is tried.`,
		Example: `  lbctl attach eth0
  lbctl attach eth0 --dry-run
  lbctl attach eth0 --mode generic`,
		Args: cli.Takes("IFACE"),
	}
	mode := attachModeFlag(c)
	dry := c.Flags().Bool("dry-run", false, "print the steps, and change nothing")
	a.Complete(c, cli.Links)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		d := a.Client()
		defer d.Close()
		change, err := d.Attach(c.Context(), args[0], *mode, *dry)
		if err != nil {
			return err
		}
		if *dry {
			return printIntended(a, c.Context(), d, *f, args[0], change)
		}
		attached, err := d.Interfaces(c.Context())
		if err != nil {
			return err
		}
		n := slices.IndexFunc(attached.Interfaces, func(i api.InterfaceStatus) bool { return i.Name == args[0] && i.Mode != "" })
		if n < 0 {
			return fmt.Errorf("interface %s: %w: it was deleted meanwhile", args[0], lb.ErrNotFound)
		}
		i := interfaceAttached{attached.Interfaces[n], change.Warnings}
		return a.Print(*f, i, func(w io.Writer) {
			fmt.Fprintf(w, "attached %s in mode %s\n", i.Name, i.Mode)
			printWarnings(w, i.Warnings)
		})
	}
	return c
}

// interfaceAttached is the answer of attach; scripts rely on its names.
type interfaceAttached struct {
	api.InterfaceStatus
	Warnings []api.Warning `json:"warnings,omitempty"`
}

// intended is the answer of a dry run; scripts rely on its names.
type intended struct {
	api.Change
	// Interfaces are the one that is asked about as it is now, or none.
	Interfaces []api.InterfaceStatus `json:"interfaces"`
}

// printIntended prints what a change of an interface would do, and how it is now.
func printIntended(a *cli.App, ctx context.Context, d *client.Client, f cli.Format, name string, change api.Change) error {
	all, err := d.Interfaces(ctx)
	if err != nil {
		return err
	}
	now := intended{change, slices.DeleteFunc(all.Interfaces, func(i api.InterfaceStatus) bool { return i.Name != name })}
	return a.Print(f, now, func(w io.Writer) {
		steps.Print(w, change)
		for _, i := range now.Interfaces {
			fmt.Fprintf(w, "now: %s is %s", name, i.State)
			if i.Mode != "" {
				fmt.Fprintf(w, " in mode %s", i.Mode)
			}
			if i.Reason != "" {
				fmt.Fprintf(w, ": %s", i.Reason)
			}
			fmt.Fprintln(w)
		}
		if len(now.Interfaces) == 0 {
			fmt.Fprintf(w, "now: %s is not attached\n", name)
		}
		fmt.Fprintln(w, "dry run: nothing was changed")
	})
}

// printWarnings prints them as doctor does.
func printWarnings(w io.Writer, all []api.Warning) {
	var found []doctor.Finding
	for _, x := range all {
		f := doctor.Finding{Name: x.Check, Severity: doctor.Severity(x.Severity), Subject: x.Subject, Seen: x.Seen, Why: x.Why, Cure: x.Cure, Where: x.Where}
		if x.Others > 0 {
			f.Seen += fmt.Sprintf(" (and of %d others)", x.Others)
		}
		found = append(found, f)
	}
	printFindings(w, found)
}

func attachModeFlag(c *cobra.Command) *string {
	mode := new(string)
	cli.ChoiceFlag(c, mode, "mode", "", "in the driver (native), for any driver and slower (generic), or what is possible (auto)",
		lb.Auto.String(), lb.Native.String(), lb.Generic.String())
	return mode
}

func detachCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:     "detach IFACE",
		Short:   "Stop balancing the packets of an interface",
		Example: "  lbctl detach eth0\n  lbctl detach eth0 --dry-run",
		Args:    cli.Takes("IFACE"),
	}
	dry := c.Flags().Bool("dry-run", false, "print the steps, and change nothing")
	a.Complete(c, cli.Attached)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		d := a.Client()
		defer d.Close()
		change, err := d.Detach(c.Context(), args[0], *dry)
		if err != nil {
			return err
		}
		if *dry {
			return printIntended(a, c.Context(), d, *f, args[0], change)
		}
		return a.Print(*f, change, func(w io.Writer) { fmt.Fprintf(w, "detached %s\n", args[0]) })
	}
	return c
}
