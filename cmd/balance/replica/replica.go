// Package replica has the commands that change the replicas of a service: those that change what is declared (replica add and
// remove), and those that set them by hand (replica set, drain, undrain, down, up, weight, take-back).
package replica

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
)

// Commands returns the commands of this package.
func Commands(a *cli.App) []*cobra.Command {
	return []*cobra.Command{replicaCommand(a), drainCommand(a), undrainCommand(a), downCommand(a), upCommand(a), weightCommand(a), takeBackCommand(a)}
}

func replicaCommand(a *cli.App) *cobra.Command {
	return cli.Noun(&cobra.Command{
		Use:   "replica",
		Short: "Add, change or remove one replica of a service",
		Long: `Add, change or remove one replica of a service. add and remove change the daemon's configuration, until lbctl apply
replaces that by a file. set sets by hand, which lbctl apply keeps.`,
		Example: `  lbctl replica add web 10.1.0.3:8080
  lbctl replica set web 10.1.0.3:8080 --weight 5
  lbctl drain web 10.1.0.3:8080 --for 10m --wait && lbctl replica remove web 10.1.0.3:8080 --if-safe`,
	}, replicaAdd(a), replicaSet(a), replicaRemove(a))
}

// replicaFlag are the flags that describe a replica.
type replicaFlag struct {
	weight int64
	state  string
}

func (f *replicaFlag) add(c *cobra.Command) {
	c.Flags().Int64Var(&f.weight, "weight", 1, "share of a maglev table relative to the others, 1 to 65535")
	c.Flags().StringVar(&f.state, "state", lb.Active.String(), "active (gets new flows), draining (keeps those that it has) or down (gets nothing)")
}

// parse checks a replica before the daemon is asked. It returns the address in the form that the daemon uses.
func (f *replicaFlag) parse(c *cobra.Command, address string) (api.Replica, error) {
	doc := api.Replica{Address: address, Weight: &f.weight, State: f.state}
	r, err := wire.ResolveReplica(doc)
	var wrong *intent.Error
	if errors.As(err, &wrong) {
		p := wrong.Problems[0]
		name := "--" + p.Field
		if p.Field == "address" {
			name = "ADDRESS"
		}
		return doc, &cli.Failure{Code: cli.ExitUsage, What: name + ": " + p.Reason, Do: p.Hint, Cause: err}
	}
	doc.Address = r.Address.String()
	return doc, err
}

func replicaAdd(a *cli.App) *cobra.Command {
	f := &replicaFlag{}
	c := replicaVerb(a, "add", "Add a replica to a service, at the end", func(c *cobra.Command, d *client.Client, service string, r api.Replica) (api.Change, string, error) {
		change, err := d.AddReplica(c.Context(), service, r)
		return change, "added to", err
	}, f)
	a.Complete(c, cli.Services)
	c.Example = "  lbctl replica add web 10.1.0.3:8080\n  lbctl replica add web 10.1.0.3:8080 --weight 5 --state down"
	f.add(c)
	return c
}

func replicaSet(a *cli.App) *cobra.Command {
	f := &replicaFlag{}
	c := replicaVerb(a, "set", "Set the weight or the state of a replica by hand", func(c *cobra.Command, d *client.Client, service string, r api.Replica) (api.Change, string, error) {
		weight, state := c.Flags().Changed("weight"), c.Flags().Changed("state")
		if !weight && !state {
			return api.Change{}, "", cli.Usage(c, "nothing to set: want --weight or --state")
		}
		change, err := d.SetByHand(c.Context(), service, r.Address, false, func(service string, is api.Replica, now api.ByHand) (*api.Override, error) {
			o := changed(now)
			if weight {
				o.Weight = r.Weight
			}
			switch {
			case !state:
				return o, nil
			case r.State == lb.Active.String():
				return activated(service, is, api.ByHand{Override: o, Declared: now.Declared})
			}
			return inState(r.State, "")(service, is, api.ByHand{Override: o})
		})
		return change, "changed in", err
	}, f)
	c.Long = `Set the weight or the state of a replica, or both, by hand, as lbctl weight, drain, down and up do. What no flag names
stays as it is. A replica that becomes active or down loses its drain deadline; lbctl drain sets one.

` + keptText + `
`
	c.Example = "  lbctl replica set web 10.1.0.3:8080 --weight 5\n  lbctl replica set web 10.1.0.3:8080 --state active"
	f.add(c)
	c.Flag("weight").DefValue, c.Flag("state").DefValue = "0", "" // help shows no default: there is none
	return c
}

func replicaRemove(a *cli.App) *cobra.Command {
	var ifSafe bool
	c := replicaVerb(a, "remove", "Remove a replica from a service; its flows go to other replicas and break",
		func(c *cobra.Command, d *client.Client, service string, r api.Replica) (api.Change, string, error) {
			change, err := d.RemoveReplica(c.Context(), service, r.Address, func(now api.ReplicaStatus) error {
				if ifSafe && !now.SafeToRemove {
					return notSafe(service, now)
				}
				return nil
			})
			return change, "removed from", err
		}, &replicaFlag{weight: 1})
	c.Example = "  lbctl replica remove web 10.1.0.3:8080\n  lbctl replica remove web 10.1.0.3:8080 --if-safe"
	c.Flags().BoolVar(&ifSafe, "if-safe", false, "only if it is draining or down and has no flow left, as far as is known")
	return c
}

func notSafe(service string, r api.ReplicaStatus) error {
	left := leftText(r.FlowCounts)
	if r.State == lb.Active.String() {
		left = "it is active"
	}
	err := fmt.Errorf("remove replica %s of service %s: %w: not safe: %s", r.Address, service, lb.ErrConflict, left)
	return cli.Advise(err, "drain it first: lbctl drain %s %s --wait", service, r.Address)
}

// replicaVerb makes a command that changes one replica and prints that in a sentence. do returns its middle: "added to".
func replicaVerb(a *cli.App, verb, short string, do func(*cobra.Command, *client.Client, string, api.Replica) (api.Change, string, error), f *replicaFlag) *cobra.Command {
	c := &cobra.Command{Use: verb + " SERVICE ADDRESS", Short: short, Args: cli.Takes("SERVICE", "ADDRESS")}
	a.Complete(c, cli.Services, cli.ReplicasOf)
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := f.parse(c, args[1])
		if err != nil {
			return err
		}
		d := a.Client()
		defer d.Close()
		change, done, err := do(c, d, args[0], r)
		if err != nil {
			return err
		}
		return a.Print(*output, change, func(w io.Writer) { fmt.Fprintf(w, "%s %s %s\n", r.Address, done, args[0]) })
	}
	return c
}
