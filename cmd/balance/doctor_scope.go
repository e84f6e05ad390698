package balance

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/control/wire"
	"lbctl/lb"
	"lbctl/lb/doctor"
	"lbctl/lb/doctor/netstate"
)

// doctorFlag are the flags of lbctl doctor: services in addition to the daemon's.
type doctorFlag struct {
	vips, replicas []string
	mode           string
	onReplica      bool
}

func doctorFlags(c *cobra.Command) *doctorFlag {
	f := &doctorFlag{}
	c.Flags().StringSliceVar(&f.vips, "vip", nil, "address of a service, a port is allowed; may be repeated")
	c.Flags().StringSliceVar(&f.replicas, "replica", nil, "address of a replica, a port is allowed; may be repeated")
	cli.ChoiceFlag(c, &f.mode, "mode", "", "mode of the services that --vip and --replica add", lb.NAT.String(), lb.DSR.String(), lb.IPIP.String())
	c.Flags().BoolVar(&f.onReplica, "on-replica", false, "examine this machine as a replica")
	return f
}

// scope returns what the flags name.
func (f *doctorFlag) scope(c *cobra.Command, names []string) (netstate.Scope, error) {
	mode, err := lb.ParseMode(f.mode)
	if err != nil {
		return netstate.Scope{}, err
	}
	q := netstate.Scope{Interfaces: names, OnReplica: f.onReplica, Mode: mode}
	if f.onReplica && len(f.replicas) > 0 {
		return q, cli.Usage(c, "--replica is what the balancer sends to, and --on-replica looks at one from inside")
	}
	if q.VIPs, err = targets(f.vips, mode); err != nil {
		return q, cli.Usage(c, "--vip: %v", err)
	}
	if q.Replicas, err = targets(f.replicas, mode); err != nil {
		return q, cli.Usage(c, "--replica: %v", err)
	}
	if f.onReplica && mode != lb.NAT && len(q.VIPs) == 0 {
		return q, cli.Usage(c, "missing --vip: in mode %v a replica holds it", mode)
	}
	return q, nil
}

func targets(texts []string, mode lb.Mode) ([]netstate.Target, error) {
	var all []netstate.Target
	for _, text := range texts {
		a, err := addressOf(text)
		if err != nil {
			return nil, err
		}
		all = append(all, netstate.Target{Address: a, Mode: mode})
	}
	return all, nil
}

// addressOf parses ADDRESS or ADDRESS:PORT.
func addressOf(text string) (netip.Addr, error) {
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr().Unmap(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return a, errors.New(text + " is not an address: want 192.0.2.1, 192.0.2.1:80 or [2001:db8::1]:80")
	}
	return a.Unmap(), nil
}

// askDaemon adds the services of a running daemon. None needs to run. If it may not be asked, that is an error only
// if no flag names a service.
func askDaemon(a *cli.App, ctx context.Context, q *netstate.Scope) error {
	d := a.Client()
	defer d.Close()
	services, err := d.Services(ctx)
	var interfaces api.Interfaces
	if err == nil {
		interfaces, err = d.Interfaces(ctx)
	}
	switch {
	case errors.Is(err, client.ErrUnreachable):
		return nil
	case errors.Is(err, lb.ErrDenied) && len(q.VIPs)+len(q.Replicas) > 0:
		q.Daemon = doctor.DaemonDenied
		return nil
	case errors.Is(err, lb.ErrDenied):
		return cli.Advise(err, "run it as root, or say with --vip and --replica what to look at")
	case err != nil:
		return err
	}
	q.Daemon = doctor.DaemonAnswers
	for _, i := range interfaces.Interfaces {
		if i.Mode != "" {
			q.Attached = append(q.Attached, i.Name)
		}
	}
	if err := addServices(q, services.Services); err != nil {
		return err
	}
	return askLimits(d, ctx, q)
}

func addServices(q *netstate.Scope, all []api.Service) error {
	for _, document := range all {
		s, err := wire.ResolveService(document)
		if err != nil {
			return fmt.Errorf("read the service %s: %w", document.Name, err)
		}
		add := func(to *[]netstate.Target, a netip.AddrPort) {
			*to = append(*to, netstate.Target{Address: a.Addr(), Mode: s.Mode, UDP: s.Encapsulation != lb.Plain})
		}
		add(&q.VIPs, s.VIP.Address)
		for _, r := range s.Replicas {
			add(&q.Replicas, r.Address)
		}
		q.Services = append(q.Services, s.Service)
		addLimits(q, document.Name, s.Service)
	}
	return nil
}
