package balance

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/lb"
	"lbctl/lb/decap"
)

func decapCommand(a *cli.App) *cobra.Command {
	return cli.Noun(&cobra.Command{
		Use:   "decap",
		Short: "On a replica, decapsulate the packets of services in mode ipip",
		Long: `On a replica, decapsulate the packets of services in mode ipip: IPv4 in IPv4, IPv6 in IPv6 and IPv4
in IPv6. An XDP program removes the outer header, and the kernel receives the client's packet as if it
had come in on the interface. This needs no tunnel device and no daemon. --udp-port takes off UDP as well, of services
with encapsulation gue or fou. The kernel's own receiver is ip fou add port 6080 gue (ip -6 fou of
outer IPv6), and a tunnel device: ip link add tunnel4 type ipip local ADDRESS, or tunnel6 type ip6tnl mode any.

A replica also needs:

  the VIP on lo, so that the kernel accepts the inner packet and does not announce the address:
      ip address add 192.0.2.1/32 dev lo
      ip address add 2001:db8::1/128 dev lo
  no strict reverse path filter, if the route to clients leaves by another interface:
      sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0     (or 2; the greater of the two counts)
  no ARP answers for the VIP, if hosts on the same link ask for it (always in mode dsr):
      sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
  room for the outer header, 20 bytes (IPv4) or 40 (IPv6), and 8 for UDP: set the MTU of the links between balancer and
  replica that much above the clients' (1520 to 1548), but that of the route to clients to theirs, since answers have no
  outer header; or limit the segments that clients send, by 8 more with UDP:
      ip link set dev eth0 mtu 1548 && ip route change default via GATEWAY mtu 1500
      ip route change default via GATEWAY advmss 1440                              (IPv4 in IPv4; in IPv6: 1420; IPv6 in IPv6: 1400)
  The balancer answers a packet that does not fit with an ICMP "packet too big", if that can reach its sender.

Anybody who can reach the replica can send it an encapsulated packet with any inner source address: name the
VIPs, and let a firewall drop protocols 4 and 41, and UDP to the ports, that do not come from the balancer.

The program drops inner packets that are malformed, and those that cannot carry the congestion mark of
their outer header (RFC 6040). It passes all other packets to the kernel unchanged. lbctl decap list
counts packets by reason.`,
		Example: `  lbctl decap attach eth0 --vip 192.0.2.1,2001:db8::1
  lbctl decap list
  lbctl decap detach eth0`,
	}, decapAttachCommand(a), decapDetachCommand(a), decapListCommand(a))
}

func decapDirFlag(c *cobra.Command) *string {
	return c.Flags().String("pin-dir", decap.DefaultDir, "the directory in which interfaces are pinned, below a BPF file system")
}

func decapAttachCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "attach IFACE",
		Short: "Decapsulate packets to the addresses of an interface",
		Long: `Decapsulate packets to the addresses that an interface has now, without its link-local ones, and to those that
--local names; and print the mode that the program is attached in. It stays attached until lbctl decap detach;
no process has to run.

For an interface that is attached already, this replaces the addresses, without losing a packet. Repeat it after
the interface's addresses have changed.`,
		Example: `  lbctl decap attach eth0 --vip 192.0.2.1 --vip 2001:db8::1
  lbctl decap attach eth0 --vip 192.0.2.1 --udp-port 6080      # encapsulation: gue
  lbctl decap attach eth0 --mode native --vip 192.0.2.1
  lbctl decap attach eth0 --vip 192.0.2.1 --local 10.9.0.1     # an address of another interface, such as lo`,
		Args: cli.Takes("IFACE"),
	}
	mode := attachModeFlag(c)
	vips := c.Flags().StringSlice("vip", nil, "destination addresses of inner packets (default: any)")
	locals := c.Flags().StringSlice("local", nil, "more destination addresses of outer packets, beside the interface's")
	ports := c.Flags().UintSlice("udp-port", nil, "UDP ports of services with encapsulation gue or fou, 6080 for instance (default: none)")
	dir := decapDirFlag(c)
	o := decap.Options{}
	ephemeralFlag(c, &o.Ephemeral)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if o.Mode, err = lb.ParseAttachMode(*mode); err != nil {
			return err
		}
		if o.VIPs, err = addressesFlag(c, "vip", *vips); err != nil {
			return err
		}
		if o.Locals, err = addressesFlag(c, "local", *locals); err != nil {
			return err
		}
		for _, p := range *ports {
			if p < 1 || p > math.MaxUint16 {
				return cli.Usage(c, "--udp-port: %d is no port", p)
			}
			o.Ports = append(o.Ports, uint16(p))
		}
		i, err := decap.Attach(c.Context(), *dir, args[0], o)
		if err != nil {
			return adviseDecap(err, args[0])
		}
		if len(i.VIPs) == 0 {
			i.Notes = append(i.Notes, "whoever reaches this machine can send encapsulated packets to any of its addresses, past filters: name the VIPs with --vip")
		}
		for _, note := range i.Notes {
			fmt.Fprintf(a.Stderr, "lbctl: %s\n", cli.OneLine(note))
		}
		return a.Print(*f, newDecapInterface(i), func(w io.Writer) {
			fmt.Fprintf(w, "attached %s in mode %s: what comes to %s%s, for %s\n", i.Name, i.Mode, joined(i.Locals, "nobody"), onPorts(i.Ports), joined(i.VIPs, "any address"))
		})
	}
	return c
}

// onPorts returns ", also in UDP to port 6080", or "".
func onPorts(ports []uint16) string {
	if len(ports) == 0 {
		return ""
	}
	return ", also in UDP to port " + portsText(ports, "")
}

func decapDetachCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:     "detach IFACE",
		Short:   "Stop decapsulating packets of an interface",
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

// detached is the answer of decap detach; scripts rely on its names.
type detached struct {
	Detached string `json:"detached"`
}

// adviseDecap says what to do about an error of attach and detach.
func adviseDecap(err error, name string) error {
	var hinted interface{ Hint() string }
	switch {
	case errors.As(err, &hinted):
		return err
	case errors.Is(err, lb.ErrInvalid):
		return cli.Advise(err, "name unicast addresses: with --local those that the balancer sends to")
	case errors.Is(err, lb.ErrNotFound):
		return cli.Advise(err, "see lbctl decap list, and ip link, in this network namespace")
	case errors.Is(err, lb.ErrConflict):
		return cli.Advise(err, "detach the program that holds it first (ours: lbctl decap detach %s)", name)
	case errors.Is(err, lb.ErrUnsupported):
		return cli.Advise(err, "try --mode generic, or a smaller MTU")
	case errors.Is(err, lb.ErrDenied):
		return cli.Advise(err, "run it as root, or with CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and a --pin-dir of its own")
	}
	return err
}
