package balance

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/lb"
	"lbctl/lb/doctor"
)

func attachCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "attach IFACE",
		Short: "Balance the packets that come in on an interface",
		Long: `Attach the load balancer to an interface of the daemon's network namespace, and print the mode
that it is attached in, and what lbctl doctor knows of packets that will vanish. It stays attached until
lbctl detach, also while no daemon runs.`,
		Example: `  lbctl attach eth0
  lbctl attach eth0 --mode generic`,
		Args: cli.Takes("IFACE"),
	}
	mode := attachModeFlag(c)
	a.Complete(c, cli.Links)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		d := a.Client()
		defer d.Close()
		change, err := d.Attach(c.Context(), args[0], *mode)
		if err != nil {
			return err
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
		Example: `  lbctl detach eth0`,
		Args:    cli.Takes("IFACE"),
	}
	a.Complete(c, cli.Attached)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		d := a.Client()
		defer d.Close()
		change, err := d.Detach(c.Context(), args[0])
		if err != nil {
			return err
		}
		return a.Print(*f, change, func(w io.Writer) { fmt.Fprintf(w, "detached %s\n", args[0]) })
	}
	return c
}
