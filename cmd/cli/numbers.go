package cli

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// quantities makes the flags of numbers and time spans of a command, and of those below it, refuse texts that the flag
// package reads as another number than people do. What range a number has each command knows.
func quantities(c *cobra.Command) {
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		kind := f.Value.Type()
		for prefix, check := range ambiguous {
			if strings.HasPrefix(kind, prefix) {
				f.Value = &quantity{f.Value, check}
				if f.DefValue == "0s" || f.DefValue == "[]" {
					f.DefValue = "" // the help tells no default that means none
				}
			}
		}
	})
	for _, below := range c.Commands() {
		quantities(below)
	}
}

// quantity is a flag whose text is looked at before it is read.
type quantity struct {
	pflag.Value
	check func(string) error
}

// Set implements pflag.Value.
func (q *quantity) Set(text string) error {
	if err := q.check(text); err != nil {
		return &quantityError{text, err}
	}
	return q.Value.Set(text)
}

// quantityError is the error of a text that is not read as it looks.
type quantityError struct {
	text string
	err  error
}

func (e *quantityError) Error() string { return fmt.Sprintf("%q: %v", e.text, e.err) }

// ambiguous are what is looked at, by the beginning of a flag's type. Errors of form are left to the flag package.
var ambiguous = map[string]func(string) error{"int": integer, "uint": integer, "duration": span}

// octal is a number that Go reads in base eight, and YAML 1.2 and people in base ten.
var octal = regexp.MustCompile(`^[+-]?0[0-9_]`)

func integer(text string) error {
	for number := range strings.SplitSeq(text, ",") {
		if octal.MatchString(number) || strings.Contains(number, "_") {
			return fmt.Errorf("want a number without zeros before it and without _")
		}
	}
	return nil
}

// span refuses what is not zero and is rounded to it.
func span(text string) error {
	if d, err := time.ParseDuration(text); err == nil && d == 0 && strings.ContainsAny(text, "123456789") {
		return fmt.Errorf("want 0 or at least 1ns")
	}
	return nil
}
