package balance

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
)

func attachCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "attach IFACE",
		Short: "Have the packets of an interface balanced",
		Long: `Attach the load balancer to an interface of the daemon's network namespace. It stays
attached, also without the daemon, until lbctl detach. The mode it got is printed.`,
		Example: `  lbctl attach eth0
  lbctl attach eth0 --mode generic`,
		Args: cli.Takes("IFACE"),
	}
	mode := c.Flags().String("mode", lb.Auto.String(), "native (in the driver), generic (any driver, slower) or auto")
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if _, err := lb.ParseAttachMode(*mode); err != nil {
			return cli.Usage(c, "attach mode %q is not known", *mode).OrNearest(*mode, []string{"native", "generic", "auto"}, "--mode ")
		}
		d := client.New(a.Socket)
		defer d.Close()
		if _, err := d.Attach(c.Context(), args[0], *mode); err != nil {
			return err
		}
		attached, err := d.Interfaces(c.Context())
		if err != nil {
			return err
		}
		n := slices.IndexFunc(attached.Interfaces, func(i api.InterfaceStatus) bool { return i.Name == args[0] && i.Mode != "" })
		if n < 0 {
			return fmt.Errorf("interface %s: %w: it has just gone", args[0], lb.ErrNotFound)
		}
		i := attached.Interfaces[n]
		return a.Print(*f, i, func(w io.Writer) { fmt.Fprintf(w, "attached %s in mode %s\n", i.Name, i.Mode) })
	}
	return c
}

func detachCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:     "detach IFACE",
		Short:   "Have the packets of an interface left alone",
		Example: `  lbctl detach eth0`,
		Args:    cli.Takes("IFACE"),
	}
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		d := client.New(a.Socket)
		defer d.Close()
		change, err := d.Detach(c.Context(), args[0])
		if err != nil {
			return err
		}
		return a.Print(*f, change, func(w io.Writer) { fmt.Fprintf(w, "detached %s\n", args[0]) })
	}
	return c
}
