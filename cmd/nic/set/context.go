package set

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/ethtool"
)

// contextOf reads --context and --delete; 0 stands for the interface's own settings.
func (f *flags) contextOf(c *cobra.Command, change ethtool.Change) (of ethtool.Context, err error) {
	number, err := strconv.ParseUint(f.context, 10, 32)
	switch {
	case f.context == "" && f.remove:
		return 0, cli.Usage(c, "--delete: want --context with it")
	case f.context == "":
		return 0, nil
	case f.context == ethtool.NewContext.String():
		of = ethtool.NewContext
	case err != nil, number == 0, ethtool.Context(number) == ethtool.NewContext:
		return 0, cli.Usage(c, "--context: %q: want the number of an additional context, or new", f.context)
	default:
		of = ethtool.Context(number)
	}
	switch {
	case f.remove && (of == ethtool.NewContext || !change.IsZero()):
		return 0, cli.Usage(c, "--delete: want the number of a context, and nothing to set")
	case f.reset:
		return 0, cli.Usage(c, "--default: a context has no default table, want --equal")
	case f.observe > 0 || f.flows != "":
		return 0, cli.Usage(c, "--observe and --flows: flow rules decide which flows come to a context")
	}
	return of, nil
}

// showContext says what became of an additional context.
func (s *answer) showContext(w io.Writer) {
	switch {
	case s.Created && s.DryRun:
		fmt.Fprintf(w, "a context with a table of %d entries\n", s.Entries)
	case s.Created:
		fmt.Fprintf(w, "context %v is created: send packets to it by ethtool -N %s flow-type tcp4 dst-port 80 context %v\n", *s.Context, s.Interface, *s.Context)
	case s.Deleted && !s.DryRun:
		fmt.Fprintf(w, "context %v is deleted\n", *s.Context)
	case !s.Deleted:
		fmt.Fprintf(w, "%d of %d entries of the table of context %v change\n", s.Changed, s.Entries, *s.Context)
	}
}

// applyContext creates, changes or deletes an additional context of an interface.
func applyContext(a *cli.App, c *cobra.Command, f *flags, nic ethtool.Settings, of ethtool.Context, change ethtool.Change) (*answer, error) {
	before, err := a.NICs.Context(nic, of)
	if err != nil {
		return nil, cli.AdviseInterface(err)
	}
	if f.remove {
		return deleteContext(a, f, nic, of)
	}
	after, err := before.After(change)
	if err != nil {
		return nil, cli.Usage(c, "set rss context %v of %s: %v", of, nic.Interface, err)
	}
	said := describe(nic.Interface, before, after, change)
	said.DryRun, said.Created = f.dryRun, of == ethtool.NewContext
	if !said.Created {
		said.Context = &of
	}
	if f.dryRun {
		return said, nil
	}
	if said.Created {
		of, err = a.NICs.Create(before, change)
		said.Context = &of
	} else {
		err = a.NICs.Apply(before, change)
	}
	if err != nil {
		return nil, cli.AdviseInterface(err)
	}
	got, err := a.NICs.Context(nic, of)
	return said, confirm(got, err, after, change)
}

func deleteContext(a *cli.App, f *flags, nic ethtool.Settings, of ethtool.Context) (*answer, error) {
	said := &answer{
		Interface: nic.Interface, Context: &of, Deleted: true, DryRun: f.dryRun,
		Commands: []string{fmt.Sprintf("ethtool -X %s context %v delete", nic.Interface, of)},
	}
	if f.dryRun {
		return said, nil
	}
	if err := a.NICs.Delete(nic, of); err != nil {
		return nil, cli.AdviseInterface(err)
	}
	return said, nil
}
