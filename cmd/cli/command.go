package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Noun makes a command that has only other commands below it. By itself it prints its help; an unknown word is an
// error that suggests the nearest command.
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

// flagError is the error of a flag that is not known or has a wrong value. It suggests the nearest flag or word.
func flagError(c *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	var wrong *choiceError
	if errors.As(err, &value) && errors.As(err, &wrong) {
		name := value.GetFlag().Name
		return Usage(c, "--%s: %v", name, wrong).OrNearest(wrong.word, wrong.allowed, "--"+name+" ")
	}
	var amount *quantityError
	if errors.As(err, &value) && errors.As(err, &amount) {
		return Usage(c, "--%s: %v", value.GetFlag().Name, amount)
	}
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

// Takes checks that a command has the arguments that are named; those in brackets, as [NAME], may be left out.
func Takes(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > len(names) {
			return Usage(c, "unexpected argument %q", args[len(names)])
		}
		var missing []string
		for _, n := range names[len(args):] {
			if !strings.HasPrefix(n, "[") {
				missing = append(missing, n)
			}
		}
		if len(missing) > 0 {
			return Usage(c, "missing %s", strings.Join(missing, ", "))
		}
		return nil
	}
}

// choice is a flag that takes one of a few words.
type choice[T ~string] struct {
	value   *T
	allowed []string
}

// choiceError is the error of a word that is none of those allowed.
type choiceError struct {
	word    string
	allowed []string
}

// Error returns `"xml" is not known: want table or json`.
func (e *choiceError) Error() string {
	return fmt.Sprintf("%q is not known: want %s", e.word, OneOf(e.allowed))
}

// ChoiceFlag adds a flag that takes one of the words allowed, the first by default. An abbreviation may be empty.
func ChoiceFlag[T ~string](c *cobra.Command, value *T, name, abbreviation, usage string, allowed ...T) {
	*value = allowed[0]
	v := choice[T]{value: value}
	for _, word := range allowed {
		v.allowed = append(v.allowed, string(word))
	}
	c.Flags().VarP(v, name, abbreviation, usage+": "+OneOf(v.allowed))
}

// String implements pflag.Value.
func (c choice[T]) String() string {
	if c.value == nil {
		return ""
	}
	return string(*c.value)
}

// Set implements pflag.Value.
func (c choice[T]) Set(s string) error {
	if !slices.Contains(c.allowed, s) {
		return &choiceError{s, c.allowed}
	}
	*c.value = T(s)
	return nil
}

// Type implements pflag.Value.
func (choice[T]) Type() string { return "word" }

// NotOneOf returns the error of a flag's word that is none of those allowed.
func NotOneOf(word string, allowed []string) error { return &choiceError{word, allowed} }

// OneOf returns "table or json".
func OneOf(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
