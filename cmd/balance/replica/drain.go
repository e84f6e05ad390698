package replica

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// drainFlag are the flags of lbctl drain.
type drainFlag struct {
	span  time.Duration
	until string
	wait  bool
	handFlag
}

func drainCommand(a *cli.App) *cobra.Command {
	f := &drainFlag{}
	c := &cobra.Command{
		Use:   "drain SERVICE ADDRESS",
		Short: "Send a replica no new flows, and keep those that it has",
		Long: `Send a replica no new flows, and keep those that it has, so that it can be removed without
breaking a flow. With --for or --until the daemon sets it down at that time, whatever flows are left, also
if the daemon was restarted. lbctl undrain ends the draining, also after that time.

` + keptText + `

With --wait the command ends when the replica is safe to remove: it has no recorded flow, and no flow from
before the change was seen within the idle time of the service. It exits with 1 if the deadline
comes first. While the daemon restarts, the command waits for it. Ctrl-C ends the waiting, not
the draining.`,
		Example: `  lbctl drain web 10.1.0.1:8080
  lbctl drain web 10.1.0.1:8080 --for 10m --wait
  lbctl drain web 10.1.0.1:8080 --until 2030-01-31T12:00:00Z
  lbctl drain --host 10.1.0.1 --note 'new kernel'`,
		Args: cli.Takes("[SERVICE]", "[ADDRESS]"),
	}
	c.Flags().DurationVar(&f.span, "for", 0, "set the replica down after this time, as in 90s or 10m (default: never)")
	c.Flags().StringVar(&f.until, "until", "", "set the replica down at this time, RFC 3339 in whole seconds")
	c.Flags().BoolVar(&f.wait, "wait", false, "wait until the replica is safe to remove")
	f.add(c)
	a.Complete(c, cli.Services, cli.ReplicasOf)
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		until, err := f.deadline(c, a.Clock.Now())
		if err != nil {
			return err
		}
		if f.wait && (f.host != "" || f.dry) {
			return cli.Usage(c, "--wait is for one replica that is drained: leave --host and --dry-run out")
		}
		service, address, _, err := f.place(c, args)
		if err != nil {
			return err
		}
		d := &drain{app: a, client: a.Client(), service: service, address: address}
		defer d.client.Close()
		done, err := f.set(c, d.client, args, inState(lb.Draining.String(), until))
		switch {
		case err != nil:
			return err
		case f.host != "" || f.dry:
			return a.Print(*output, done, func(w io.Writer) { printByHand(w, done, f.dry) })
		}
		return d.run(c.Context(), until, f.wait, *output)
	}
	return c
}

// deadline returns the end of the draining as the API has it, "" for none. The end of --for is rounded up to a second.
func (f *drainFlag) deadline(c *cobra.Command, now time.Time) (string, error) {
	switch {
	case f.until != "" && c.Flags().Changed("for"):
		return "", cli.Usage(c, "--for and --until: want one of the two")
	case c.Flags().Changed("for") && f.span <= 0:
		return "", cli.Usage(c, "--for: %v: want a time span above 0, as in 10m", f.span)
	case f.until == "" && f.span == 0:
		return "", nil
	}
	end := now.Add(f.span).Add(time.Second - 1).Truncate(time.Second)
	if f.until != "" {
		var err error
		end, err = time.Parse(time.RFC3339, f.until)
		if err != nil || end.Nanosecond() != 0 || end.UTC().Year() > 9999 {
			return "", cli.Usage(c, "--until: %q: want a time in whole seconds, as in 2030-01-31T12:00:00Z", f.until)
		}
		if !end.After(now) {
			return "", cli.Usage(c, "--until: %s has passed", f.until)
		}
	}
	return end.UTC().Format(time.RFC3339), nil
}

// drain is one run of the command for one replica.
type drain struct {
	app              *cli.App
	client           *client.Client
	service, address string
	traffic          traffic
}

// run says how far the drain has come, and waits for it.
func (d *drain) run(ctx context.Context, until string, wait bool, f cli.Format) error {
	r, err := d.status(ctx, until)
	if err != nil {
		return err
	}
	if f == cli.FormatTable {
		fmt.Fprintf(d.app.Stdout, "%s of %s is draining%s\n", d.address, d.service, untilText(until))
	}
	if wait {
		if r, err = d.wait(ctx); err != nil {
			return err
		}
	}
	return d.app.Print(f, r, func(w io.Writer) { fmt.Fprintln(w, safetyText(r)) })
}

func untilText(until string) string {
	if until == "" {
		return ""
	}
	return ", and down at " + until
}

func safetyText(r api.ReplicaStatus) string {
	if r.SafeToRemove {
		return "safe to remove"
	}
	return "not yet safe to remove: " + leftText(r.FlowCounts)
}

// leftText describes the flows that a replica has left. Those from before the change are not recorded.
func leftText(f api.ReplicaFlows) string {
	recorded, unknown := f.Established+f.HalfOpen, "an unknown number of flows from before in "+cli.Many(int(f.OldFlowSlots), "slot")
	switch {
	case f.OldFlowSlots == 0:
		return cli.Many(int(recorded), "recorded flow") + " left"
	case recorded == 0:
		return unknown + " left"
	}
	return cli.Many(int(recorded), "recorded flow") + " and " + unknown + " left"
}

// status returns the replica as it is now, and warns of what the drain does not do.
func (d *drain) status(ctx context.Context, until string) (api.ReplicaStatus, error) {
	all, err := d.client.Replicas(ctx, d.service)
	if err != nil {
		return api.ReplicaStatus{}, err
	}
	service, err := d.client.Service(ctx, d.service)
	if err != nil {
		return api.ReplicaStatus{}, err
	}
	switch {
	case service.Tracking == lb.Stateless.String():
		fmt.Fprintf(d.app.Stderr, "lbctl: %s does not track flows (tracking: never): those of the replica go to others at once\n", d.service)
	case service.Protocol == packet.UDP.String() && until == "":
		fmt.Fprintln(d.app.Stderr, "lbctl: packets of udp do not tell when a flow ends or starts: while clients use their ports again, this drain lasts; "+
			"set an end with --for")
	}
	if !slices.ContainsFunc(all.Replicas, func(r api.ReplicaStatus) bool { return r.State == lb.Active.String() }) {
		fmt.Fprintf(d.app.Stderr, "lbctl: no replica of %s is active: new flows are dropped\n", d.service)
	}
	return d.find(all)
}

func (d *drain) find(all api.Replicas) (api.ReplicaStatus, error) {
	n := slices.IndexFunc(all.Replicas, func(r api.ReplicaStatus) bool { return r.Address == d.address })
	if n < 0 {
		return api.ReplicaStatus{}, fmt.Errorf("replica %s of service %s: %w: somebody has removed it", d.address, d.service, lb.ErrNotFound)
	}
	return all.Replicas[n], nil
}
