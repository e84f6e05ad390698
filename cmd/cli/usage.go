package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lbctl/control/wire"
)

// Noun makes a command that only has others below it: alone it prints its help, with an unknown
// word it says which one was probably meant.
func Noun(c *cobra.Command, below ...*cobra.Command) *cobra.Command {
	c.AddCommand(below...)
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return Usage(c, "unknown command %q", args[0]).OrNearest(args[0], commandNames(c), "")
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	return c
}

func commandNames(c *cobra.Command) []string {
	var names []string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			names = append(names, sub.Name())
		}
	}
	return names
}

// Usage is the error of a wrong command line.
func Usage(c *cobra.Command, what string, args ...any) *Failure {
	return &Failure{
		Code: ExitUsage,
		What: fmt.Sprintf(what, args...),
		Do:   fmt.Sprintf("see %s --help", c.CommandPath()),
	}
}

// OrNearest makes the hint the known name that is nearest to a misspelt one, if one is near.
func (f *Failure) OrNearest(name string, known []string, prefix string) *Failure {
	if near, ok := wire.Nearest(name, known); ok {
		f.Do = fmt.Sprintf("did you mean %s%s?", prefix, near)
	}
	return f
}

// flagError says what is wrong with a flag.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return Usage(c, "%v", err)
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	name := unknown.GetSpecifiedName()
	if len(name) == 1 {
		return Usage(c, "unknown flag -%s", name)
	}
	return Usage(c, "unknown flag --%s", name).OrNearest(name, names, "--")
}

// Takes checks that a command has the arguments that are named.
func Takes(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > len(names) {
			return Usage(c, "unexpected argument %q", args[len(names)])
		}
		if len(args) < len(names) {
			return Usage(c, "missing %s", strings.Join(names[len(args):], ", "))
		}
		return nil
	}
}
