// Package service has the commands that add, change and remove one service, and delete, which knows services, pools and interfaces.
package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/steps"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
)

// Commands returns the commands of this package.
func Commands(a *cli.App) []*cobra.Command {
	noun := cli.Noun(&cobra.Command{
		Use:     "service",
		Short:   "Add, change or remove one service",
		Long:    "Add, change or remove one service. The change is stored with the daemon's intent, until lbctl apply replaces that by a file.",
		Example: "  lbctl service add web --vip 192.0.2.1:80 --scheduler maglev --replica 10.1.0.1:8080 --replica 10.1.0.2:8080,weight=2\n  lbctl service set web --tracking always --dry-run\n  lbctl service remove web",
	}, add(a), set(a), remove(a))
	return []*cobra.Command{noun, deleteCommand(a)}
}

func add(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use: "add NAME --vip ADDRESS:PORT", Short: "Add a service, after the others", Args: cli.Takes("NAME"),
		Example: "  lbctl service add web --vip 192.0.2.1:80 --replica 10.1.0.1:8080\n  lbctl service add dns --vip [2001:db8::1]:53 --protocol udp --pool resolvers --dry-run",
	}
	fields := newFields(c)
	_ = c.RegisterFlagCompletionFunc("pool", a.CompleteFlag(cli.Pools))
	replicas := c.Flags().StringArray("replica", nil, "a replica: ADDRESS:PORT, or ADDRESS:PORT,weight=N,state=WORD; may be repeated")
	run(a, c, func(d *client.Client, args []string, dry bool) (api.Change, string, error) {
		s := api.Service{Name: args[0]}
		err := fields.check(c)
		if err == nil {
			err = fields.set(c, &s)
		}
		if err == nil && (s.Pool == "" || len(*replicas) > 0) {
			s.Replicas, err = replicasOf(c, *replicas)
		}
		if err == nil {
			err = checkService(c, s)
		}
		if err != nil {
			return api.Change{}, "", err
		}
		done, err := d.EditService(c.Context(), s.Name, dry, func(was *api.Service) (api.Service, error) {
			if was != nil {
				return s, cli.Advise(fmt.Errorf("add service %s: %w: it is there already", s.Name, lb.ErrConflict), "change it: lbctl service set %s", s.Name)
			}
			return s, nil
		})
		return done, "added " + s.Name, err
	})
	return c
}

func set(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use: "set NAME", Short: "Change fields of a service; those that no flag names stay as they are", Args: cli.Takes("NAME"),
		Example: "  lbctl service set web --scheduler maglev\n  lbctl service set web --idle 30m --dry-run\n  lbctl service set web --pool backends     # in place of its own replicas",
	}
	a.Complete(c, cli.Services)
	fields := newFields(c)
	_ = c.RegisterFlagCompletionFunc("pool", a.CompleteFlag(cli.Pools))
	run(a, c, func(d *client.Client, args []string, dry bool) (api.Change, string, error) {
		if err := fields.check(c); err != nil {
			return api.Change{}, "", err
		}
		if !fields.given(c) {
			return api.Change{}, "", cli.Usage(c, "nothing to set: want a flag of a field, as --mode")
		}
		done, err := d.EditService(c.Context(), args[0], dry, func(was *api.Service) (s api.Service, err error) {
			if was == nil {
				return s, notFound(c.Context(), d, "service", args[0])
			}
			s = *was
			if err := fields.set(c, &s); err != nil {
				return s, err
			}
			fields.drop(c, &s)
			return s, checkService(c, s)
		})
		return done, "changed " + args[0], err
	})
	return c
}

func remove(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use: "remove NAME", Short: "Remove a service; its flows end", Args: cli.Takes("NAME"),
		Example: "  lbctl service remove web\n  lbctl service remove web --dry-run",
	}
	a.Complete(c, cli.Services)
	run(a, c, func(d *client.Client, args []string, dry bool) (api.Change, string, error) {
		return deleted(c.Context(), d, "service", args[0], dry)
	})
	return c
}

func deleteCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use: "delete KIND NAME", Short: "Delete a service or a pool, or detach an interface",
		Long: `Delete a service or a pool, or detach an interface, and forget it. KIND is service, pool or interface; KIND/NAME, as -o name
prints it, is taken, too. A pool that services use is not deleted.`,
		Example: "  lbctl delete service web\n  lbctl delete pool backends\n  lbctl delete interface eth1 --dry-run\n  lbctl get services -o name | xargs -n1 lbctl delete",
		Args:    cli.Takes("KIND", "[NAME]"),
	}
	a.Complete(c, cli.Kinds(kinds...), cli.NamesOf)
	run(a, c, func(d *client.Client, args []string, dry bool) (api.Change, string, error) {
		kind, name, err := cli.KindAndName(c, args, kinds...)
		if err != nil {
			return api.Change{}, "", err
		}
		return deleted(c.Context(), d, kind, name, dry)
	})
	return c
}

// kinds are what can be deleted.
var kinds = []string{"service", "pool", "interface"}

// deleted deletes what has a name, and says so. Whatever somebody else changes of it meanwhile goes with it.
func deleted(ctx context.Context, d *client.Client, kind, name string, dry bool) (change api.Change, done string, err error) {
	done = "removed " + name
	switch kind {
	case "service":
		change, err = d.DeleteService(ctx, name, dry)
	case "pool":
		change, err = d.DeletePool(ctx, name, dry)
	case "interface":
		done = "detached " + name
		change, err = d.Detach(ctx, name, dry)
	}
	if errors.Is(err, lb.ErrNotFound) {
		err = notFound(ctx, d, kind, name)
	}
	return change, done, err
}

// notFound says which name is near, if that can be found out.
func notFound(ctx context.Context, d *client.Client, kind, name string) error {
	names, _ := cli.NamesOf(ctx, d, []string{kind})
	return cli.NotFound(kind, name, names, "list what there is: lbctl get "+kind+"s")
}

// replicasOf reads the flags of replicas.
func replicasOf(c *cobra.Command, texts []string) ([]api.Replica, error) {
	all := make([]api.Replica, 0, len(texts))
	for _, text := range texts {
		r, err := replicaOf(c, text)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// replicaOf reads ADDRESS:PORT,weight=N,state=WORD.
func replicaOf(c *cobra.Command, text string) (r api.Replica, err error) {
	parts := strings.Split(text, ",")
	r.Address = parts[0]
	for _, p := range parts[1:] {
		name, value, _ := strings.Cut(p, "=")
		switch name {
		case "state":
			r.State = value
		case "weight":
			var weight int64
			if _, err := fmt.Sscanf(value+"\n", "%d\n", &weight); err != nil {
				return r, cli.Usage(c, "--replica %s: weight %q is not a number", text, value)
			}
			r.Weight = &weight
		default:
			return r, cli.Usage(c, "--replica %s: %q is not known: want weight=N or state=WORD", text, name)
		}
	}
	return r, nil
}

// checkService says what of a service is wrong, by the flag of the field, before the daemon is asked.
func checkService(c *cobra.Command, s api.Service) error {
	_, err := wire.ResolveService(s)
	var wrong *intent.Error
	if !errors.As(err, &wrong) {
		return err
	}
	p := wrong.Problems[0]
	name := p.Field
	if flag := c.Flags().Lookup(strings.ReplaceAll(name, "_", "-")); flag != nil {
		name = "--" + flag.Name
	}
	return &cli.Failure{Code: cli.ExitUsage, What: name + ": " + p.Reason, Do: p.Hint, Cause: err}
}

// run has a command ask for a change, and print it, or with --dry-run the steps that it would take.
func run(a *cli.App, c *cobra.Command, ask func(d *client.Client, args []string, dry bool) (change api.Change, done string, err error)) {
	dry := c.Flags().Bool("dry-run", false, "print the steps, and change nothing")
	output := cli.OutputFlag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		d := a.Client()
		defer d.Close()
		change, done, err := ask(d, args, *dry)
		if err != nil {
			return err
		}
		return a.Print(*output, change, func(w io.Writer) {
			if *dry {
				steps.Print(w, change)
				return
			}
			fmt.Fprintln(w, done)
		})
	}
}
