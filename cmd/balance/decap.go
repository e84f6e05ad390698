package balance

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/lb"
	"lbctl/lb/decap"
)

func decapCommand(a *cli.App) *cobra.Command {
	return cli.Noun(&cobra.Command{
		Use:   "decap",
		Short: "Decapsulate, on a replica, what a service in mode ipip sends",
		Long: `Decapsulate, on a replica, the packets of services in mode ipip: IPv4 in IPv4, IPv6 in IPv6 and IPv4
in IPv6. An XDP program takes the outer header off, and the kernel receives the client's packet as if it
had come in on the interface; no tunnel device is needed. No daemon runs for it, on the replica either.

What else a replica needs:

  the VIP on lo, so that the inner packet is its own and nobody else hears of the address:
      ip address add 192.0.2.1/32 dev lo
      ip address add 2001:db8::1/128 dev lo
  no strict reverse path filter, if the route to clients leaves by another interface:
      sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0     (or 2; the greater of the two counts)
  no ARP answers for the VIP, if the replica shares a link with whoever asks for it (always in mode dsr):
      sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
  room for the outer header, 20 bytes (replica's address IPv4) or 40 (IPv6): let the links between balancer and
  replica have an MTU of so much more than the clients' (1520, 1540), or have clients send less:
      ip route change default via GATEWAY advmss 1440                              (IPv4 in IPv4; in IPv6: 1420; IPv6 in IPv6: 1400)
  A packet that does not fit is answered by the balancer with "too big" where its sender can be told.

Anybody who can reach the replica can send it an outer packet, whatever the source within: name the
VIPs, and let a firewall before it drop protocols 4 and 41 that are not from the balancer.

What is not decapsulated is left to the kernel untouched, but for inner packets that are malformed and for those
that met congestion and cannot say so (RFC 6040): they are dropped. Each packet is counted by its reason: see
lbctl decap list.`,
		Example: `  lbctl decap attach eth0 --vip 192.0.2.1,2001:db8::1
  lbctl decap list
  lbctl decap detach eth0`,
	}, decapAttachCommand(a), decapDetachCommand(a), decapListCommand(a))
}

func decapDirFlag(c *cobra.Command) *string {
	return c.Flags().String("pin-dir", decap.DefaultDir, "where interfaces are pinned, below a BPF file system")
}

func decapAttachCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "attach IFACE",
		Short: "Have an interface decapsulate what comes to its addresses",
		Long: `Have an interface decapsulate what comes to its addresses: those it has now, but link-local ones, and those that
--local names. It goes on until lbctl decap detach, without a process. The mode it got is printed.

Again for an interface that is attached, it replaces the addresses by those that are named now, without a
packet lost; after a change of the interface's addresses, do so.`,
		Example: `  lbctl decap attach eth0 --vip 192.0.2.1 --vip 2001:db8::1
  lbctl decap attach eth0 --mode native --vip 192.0.2.1
  lbctl decap attach eth0 --vip 192.0.2.1 --local 10.9.0.1     # an address of another interface, lo say`,
		Args: cli.Takes("IFACE"),
	}
	mode := c.Flags().String("mode", lb.Auto.String(), "native (in the driver), generic (any driver, slower) or auto")
	vips := c.Flags().StringSlice("vip", nil, "addresses that inner packets may be to (default: any)")
	locals := c.Flags().StringSlice("local", nil, "addresses that outer packets come to, beside the interface's")
	dir := decapDirFlag(c)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		o := decap.Options{}
		if o.Mode, err = lb.ParseAttachMode(*mode); err != nil {
			return cli.Usage(c, "attach mode %q is not known", *mode).OrNearest(*mode, []string{"native", "generic", "auto"}, "--mode ")
		}
		if o.VIPs, err = addressesFlag(c, "vip", *vips); err != nil {
			return err
		}
		if o.Locals, err = addressesFlag(c, "local", *locals); err != nil {
			return err
		}
		i, err := decap.Attach(c.Context(), *dir, args[0], o)
		if err != nil {
			return adviseDecap(err, args[0])
		}
		if len(i.VIPs) == 0 {
			i.Notes = append(i.Notes, "whoever reaches this machine can send to any of its addresses in another packet, past filters: name the VIPs with --vip")
		}
		for _, note := range i.Notes {
			fmt.Fprintf(a.Stderr, "lbctl: %s\n", cli.OneLine(note))
		}
		return a.Print(*f, decapsulationOf(i), func(w io.Writer) {
			fmt.Fprintf(w, "attached %s in mode %s: what comes to %s, for %s\n", i.Name, i.Mode, joined(i.Locals, "nobody"), joined(i.VIPs, "any address"))
		})
	}
	return c
}

func decapDetachCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:     "detach IFACE",
		Short:   "Have an interface decapsulate no more",
		Example: `  lbctl decap detach eth0`,
		Args:    cli.Takes("IFACE"),
	}
	dir := decapDirFlag(c)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := decap.Detach(c.Context(), *dir, args[0]); err != nil {
			return adviseDecap(err, args[0])
		}
		return a.Print(*f, detached{args[0]}, func(w io.Writer) { fmt.Fprintf(w, "detached %s\n", args[0]) })
	}
	return c
}

// detached says what decap detach did.
type detached struct {
	Detached string `json:"detached"`
}

// adviseDecap says what to do about an error of attach and detach.
func adviseDecap(err error, name string) error {
	switch {
	case errors.Is(err, lb.ErrInvalid):
		return cli.Advise(err, "name addresses of hosts; those that the balancer sends to with --local")
	case errors.Is(err, lb.ErrNotFound):
		return cli.Advise(err, "see lbctl decap list, and ip link, in this network namespace")
	case errors.Is(err, lb.ErrConflict):
		return cli.Advise(err, "detach what holds it first (what is ours: lbctl decap detach %s)", name)
	case errors.Is(err, lb.ErrUnsupported):
		return cli.Advise(err, "try --mode generic, or a smaller MTU")
	case errors.Is(err, lb.ErrDenied):
		return cli.Advise(err, "run it as root, or with CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and a --pin-dir of its own")
	}
	return err
}
