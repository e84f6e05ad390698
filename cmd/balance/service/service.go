// Package service has the commands that add, change and remove one service, and delete, which knows services and interfaces.
package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/steps"
	"lbctl/control/api"
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
		Example: "  lbctl service add web --vip 192.0.2.1:80 --replica 10.1.0.1:8080\n  lbctl service add dns --vip [2001:db8::1]:53 --protocol udp --dry-run",
	}
	fields := newFields(c)
	replicas := c.Flags().StringArray("replica", nil, "a replica: ADDRESS:PORT, or ADDRESS:PORT,weight=N,state=WORD; may be repeated")
	run(a, c, fields.check, func(c *cobra.Command, args []string, doc *api.Config) (string, error) {
		if at := find(doc, args[0]); at >= 0 {
			return "", cli.Advise(fmt.Errorf("add service %s: %w: it is there already", args[0], lb.ErrConflict), "change it: lbctl service set %s", args[0])
		}
		s := api.Service{Name: args[0], Replicas: []api.Replica{}}
		if err := fields.into(c, &s); err != nil {
			return "", err
		}
		for _, text := range *replicas {
			r, err := replicaOf(c, text)
			if err != nil {
				return "", err
			}
			s.Replicas = append(s.Replicas, r)
		}
		doc.Services = append(doc.Services, s)
		return "added " + s.Name, checkService(c, s)
	})
	return c
}

func set(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use: "set NAME", Short: "Change fields of a service; those that no flag names stay as they are", Args: cli.Takes("NAME"),
		Example: "  lbctl service set web --scheduler maglev\n  lbctl service set web --idle 30m --dry-run",
	}
	a.Complete(c, cli.Services)
	fields := newFields(c)
	run(a, c, fields.check, func(c *cobra.Command, args []string, doc *api.Config) (string, error) {
		at := find(doc, args[0])
		if at < 0 {
			return "", notFound(doc, args[0])
		}
		if !fields.given(c) {
			return "", cli.Usage(c, "nothing to set: want a flag of a field, as --mode")
		}
		s := &doc.Services[at]
		if err := fields.into(c, s); err != nil {
			return "", err
		}
		fields.drop(c, s)
		return "changed " + s.Name, checkService(c, *s)
	})
	return c
}

func remove(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use: "remove NAME", Short: "Remove a service; its flows end", Args: cli.Takes("NAME"),
		Example: "  lbctl service remove web\n  lbctl service remove web --dry-run",
	}
	a.Complete(c, cli.Services)
	run(a, c, nil, func(_ *cobra.Command, args []string, doc *api.Config) (string, error) { return removed(doc, args[0]) })
	return c
}

func deleteCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use: "delete KIND NAME", Short: "Delete a service, or detach an interface",
		Long:    "Delete a service, or detach an interface, and forget it. KIND is service or interface; KIND/NAME, as -o name prints it, is taken, too.",
		Example: "  lbctl delete service web\n  lbctl delete interface eth1 --dry-run\n  lbctl get services -o name | xargs -n1 lbctl delete",
		Args:    cli.Takes("KIND", "[NAME]"),
	}
	a.Complete(c, cli.Kinds("service", "interface"), cli.NamesOf)
	run(a, c, nil, func(c *cobra.Command, args []string, doc *api.Config) (string, error) {
		kind, name, err := cli.KindAndName(c, args, "service", "interface")
		if err != nil || kind == "service" {
			if err == nil {
				return removed(doc, name)
			}
			return "", err
		}
		at := slices.IndexFunc(doc.Interfaces, func(i api.Interface) bool { return i.Name == name })
		if at < 0 {
			return "", cli.NotFound("interface", name, nil, "list what there is: lbctl get interfaces")
		}
		doc.Interfaces = slices.Delete(doc.Interfaces, at, at+1)
		return "detached " + name, nil
	})
	return c
}

func removed(doc *api.Config, name string) (string, error) {
	at := find(doc, name)
	if at < 0 {
		return "", notFound(doc, name)
	}
	doc.Services = slices.Delete(doc.Services, at, at+1)
	return "removed " + name, nil
}

func find(doc *api.Config, name string) int {
	return slices.IndexFunc(doc.Services, func(s api.Service) bool { return s.Name == name })
}

func notFound(doc *api.Config, name string) error {
	var names []string
	for _, s := range doc.Services {
		names = append(names, s.Name)
	}
	return cli.NotFound("service", name, names, "list what there is: lbctl get services")
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

// run has a command edit the configuration, at the revision that it read: a change by somebody else is not lost.
func run(a *cli.App, c *cobra.Command, check func(*cobra.Command) error, edit func(c *cobra.Command, args []string, doc *api.Config) (done string, err error)) {
	dry := c.Flags().Bool("dry-run", false, "print the steps, and change nothing")
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if check != nil {
			if err := check(c); err != nil {
				return err
			}
		}
		d := a.Client()
		defer d.Close()
		done := ""
		change, err := d.EditConfig(c.Context(), *dry, func(_ context.Context, doc *api.Config) (err error) {
			done, err = edit(c, args, doc)
			return err
		})
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
