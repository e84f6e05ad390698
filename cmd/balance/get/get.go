// Package get has the commands that print what there is: services, pools, replicas, flows, interfaces, counters, the configuration
// and its revisions.
package get

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/show"
	"lbctl/control/client"
	"lbctl/control/config"
	"lbctl/lb"
)

// Command prints what there is. others are kinds that other verbs know.
func Command(a *cli.App, others ...*cobra.Command) *cobra.Command {
	return cli.Noun(&cobra.Command{
		Use:   "get",
		Short: "Print services, pools, replicas, what was set by hand, flows, interfaces, counters, the configuration or its revisions",
		Long: `Print what there is of a kind, all or what has a name. A kind may be written in the singular or the plural.
-o wide has more columns; yaml and json have everything; jsonpath takes the templates of kubectl; name prints a name
for each row. --watch goes on and prints again the rows that have changed.`,
		Example: `  lbctl get services
  lbctl get service web -o yaml
  lbctl get replicas web -o wide --sort-by PACKETS
  lbctl get replicas -o 'jsonpath={range .replicas[*]}{.address}{"\n"}{end}'
  lbctl get counters --watch
  lbctl get config >lb.yaml`,
	}, append(others, getServices(a), getPools(a), getReplicas(a), getFlows(a), getInterfaces(a), getCounters(a), getConfig(a), getOverrides(a))...)
}

// listing is a command that prints T, the things of one kind, all or those of a name.
type listing[T any] struct {
	command cobra.Command
	// path, unless it is "", is where the daemon has the T of all.
	path string
	// kind is what NAME names, and list the command that prints those names.
	kind, list string
	// ask asks for what there is. Where the daemon knows the names it asks for that of a name alone, unless that is "".
	ask func(ctx context.Context, d *client.Client, one string) (T, error)
	// names, unless nil, are those that the daemon knows. keep, where it is, leaves in T what has the name, and returns all
	// names there are.
	names cli.Names
	keep  func(all *T, name string) (names []string)
	// tables are what is printed of T, one the name that was asked for, "" for all.
	tables func(all T, one string) []show.Table
	notes  func(T) []string
	// flags, unless nil, is told how the command is to print.
	flags func(*show.Flags)
}

func (l listing[T]) make(a *cli.App) *cobra.Command {
	c := &l.command
	c.Args = cli.Takes("[NAME]")
	if l.names == nil {
		l.names = func(ctx context.Context, d *client.Client, _ []string) ([]string, error) {
			v, err := l.ask(ctx, d, "")
			return l.keep(&v, ""), err
		}
	}
	a.Complete(c, l.names)
	f := show.TableFlags(c)
	if l.flags != nil {
		l.flags(f)
	}
	c.RunE = func(c *cobra.Command, args []string) error { return l.run(a, c, f, args) }
	return c
}

func (l listing[T]) run(a *cli.App, c *cobra.Command, f *show.Flags, args []string) error {
	d := a.Client()
	defer d.Close()
	one := ""
	if len(args) == 1 {
		one = args[0]
	}
	if l.path != "" && one == "" && f.Streams() {
		return f.Stream(a, c, func(ctx context.Context, to io.Writer) error { return d.Copy(ctx, l.path, to) })
	}
	return f.Run(a, c, func(ctx context.Context) (show.Answer, error) {
		v, err := l.ask(ctx, d, one)
		missing := one != "" && errors.Is(err, lb.ErrNotFound)
		var names []string
		if missing {
			names, err = l.names(ctx, d, nil)
		}
		if err != nil {
			return show.Answer{}, err
		}
		if one != "" && l.keep != nil {
			names = l.keep(&v, one)
			missing = !slices.Contains(names, one)
		}
		if missing {
			return show.Answer{}, cli.NotFound(l.kind, one, names, "list what there is: lbctl "+l.list)
		}
		answer := show.Answer{Value: v}
		if f.Tabular() {
			answer.Tables = l.tables(v, one)
		}
		if l.notes != nil {
			answer.Notes = l.notes(v)
		}
		return answer, nil
	})
}

// keepNamed leaves in a list the elements of one name, and returns the names of all.
func keepNamed[E any](all *[]E, name string, nameOf func(E) string) (names []string) {
	kept := []E{}
	for _, e := range *all {
		names = append(names, nameOf(e))
		if nameOf(e) == name {
			kept = append(kept, e)
		}
	}
	*all = kept
	return names
}

func getConfig(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Aliases: []string{"configuration"},
		Short:   "Print the configuration that is in effect",
		Long: `Print the configuration that is in effect, with every default written out, as YAML or JSON. It is what
lbctl apply -f and lbctl serve -f take.`,
		Example: "  lbctl get config >lb.yaml\n  lbctl get config | lbctl apply -f -\n  lbctl get config -o json",
		Args:    cli.Takes(),
	}
	f := show.DocumentFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		d := a.Client()
		defer d.Close()
		return f.Run(a, c, func(ctx context.Context) (show.Answer, error) {
			v, _, err := d.Config(ctx)
			if err != nil {
				return show.Answer{}, err
			}
			text, err := config.Write(v)
			return show.Answer{Value: v, YAML: text}, err
		})
	}
	return c
}
