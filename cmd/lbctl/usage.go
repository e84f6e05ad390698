package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lbctl/control/config"
)

// noun makes a command that only has others below it: alone it prints its help, with an unknown
// word it says which one was probably meant.
func noun(c *cobra.Command, below ...*cobra.Command) *cobra.Command {
	c.AddCommand(below...)
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return usage(c, "unknown command %q", args[0]).orNearest(args[0], commandNames(c), "")
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

// usage is the error of a wrong command line.
func usage(c *cobra.Command, what string, args ...any) *failure {
	return &failure{
		code: exitUsage,
		what: fmt.Sprintf(what, args...),
		hint: fmt.Sprintf("see %s --help", c.CommandPath()),
	}
}

// orNearest makes the hint the known name that is nearest to a misspelt one, if one is near.
func (f *failure) orNearest(name string, known []string, prefix string) *failure {
	if near, ok := config.Nearest(name, known); ok {
		f.hint = fmt.Sprintf("did you mean %s%s?", prefix, near)
	}
	return f
}

// flagError says what is wrong with a flag.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usage(c, "%v", err)
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	name := unknown.GetSpecifiedName()
	if len(name) == 1 {
		return usage(c, "unknown flag -%s", name)
	}
	return usage(c, "unknown flag --%s", name).orNearest(name, names, "--")
}

// takes checks that a command has the arguments that are named.
func takes(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > len(names) {
			return usage(c, "unexpected argument %q", args[len(names)])
		}
		if len(args) < len(names) {
			return usage(c, "missing %s", strings.Join(names[len(args):], ", "))
		}
		return nil
	}
}
