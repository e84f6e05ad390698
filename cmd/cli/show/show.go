// Package show prints what there is of a kind, as lbctl get does: as a table, with more columns, as JSON or YAML, by a
// JSONPath or by name; once, or whenever it has changed.
package show

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
)

// Answer is what a command has to print.
type Answer struct {
	// Value is what JSON, YAML and JSONPath are of.
	Value any
	// YAML, unless nil, is how Value is written as YAML.
	YAML   []byte
	Tables []Table
	// Notes are lines under the tables.
	Notes []string
}

// The formats of lbctl get, beside those of package cli. jsonPath is followed by "=" and an expression.
const (
	FormatWide cli.Format = "wide"
	FormatName cli.Format = "name"
	jsonPath   cli.Format = "jsonpath"
)

// Flags are how a command is to print.
type Flags struct {
	Format    cli.Format
	path      *path
	sortBy    string
	noHeaders bool
	watch     bool
	every     time.Duration
}

// TableFlags adds the flags of a command that prints tables.
func TableFlags(c *cobra.Command) *Flags {
	f := newFlags(c, cli.FormatTable, FormatWide, cli.FormatJSON, cli.FormatYAML, jsonPath, FormatName)
	c.Flags().StringVar(&f.sortBy, "sort-by", "", "sort the rows by a column, as its header names it; -COLUMN: from the largest down")
	c.Flags().BoolVar(&f.noHeaders, "no-headers", false, "print no headers")
	return f
}

// DocumentFlags adds the flags of a command that prints one document.
func DocumentFlags(c *cobra.Command) *Flags {
	return newFlags(c, cli.FormatYAML, cli.FormatJSON, jsonPath)
}

func newFlags(c *cobra.Command, formats ...cli.Format) *Flags {
	f := &Flags{Format: formats[0], every: time.Second}
	c.Flags().VarP(&formatFlag{f, formats}, "output", "o", "how to print: "+cli.OneOf(formatWords(formats)))
	c.Flags().BoolVarP(&f.watch, "watch", "w", false, "then print again what has changed, until Ctrl-C")
	c.Flags().DurationVar(&f.every, "interval", f.every, "how often --watch looks, from 100ms to 1h")
	return f
}

// Watching reports whether --watch was given.
func (f *Flags) Watching() bool { return f.watch }

// Check refuses flags that do not go together.
func (f *Flags) Check(c *cobra.Command) error {
	switch {
	case f.every < 100*time.Millisecond || f.every > time.Hour:
		return cli.Usage(c, "--interval: %v is out of range: want 100ms to 1h", f.every)
	case !f.watch && c.Flags().Changed("interval"):
		return cli.Usage(c, "--interval without --watch")
	case f.sortBy != "" && !f.Tabular():
		return cli.Usage(c, "--sort-by: -o %s has no rows: want -o table, wide or name", f.Format)
	}
	return nil
}

// Tabular reports whether rows are printed.
func (f *Flags) Tabular() bool {
	return f.Format == cli.FormatTable || f.Format == FormatWide || f.Format == FormatName
}

// Wide reports whether all columns are printed.
func (f *Flags) Wide() bool { return f.Format == FormatWide }

// Run asks, prints and, with --watch, goes on until the context ends. An answer that cannot be had ends it.
func (f *Flags) Run(a *cli.App, c *cobra.Command, ask func(context.Context) (Answer, error)) error {
	if err := f.Check(c); err != nil {
		return err
	}
	p := &printer{flags: f, out: a.Stdout, command: c}
	for {
		answer, err := ask(c.Context())
		if err == nil {
			err = p.print(answer)
		}
		if err != nil || !f.watch {
			return p.ended(err)
		}
		select {
		case <-c.Context().Done():
			return nil
		case <-a.Clock.After(f.every):
		}
	}
}

// printer prints answers, of the second and later ones what is different.
type printer struct {
	flags   *Flags
	out     io.Writer
	command *cobra.Command
	printed int
	// last is what was printed of a value, tables of tables.
	last   []byte
	tables []grid
}

// ended returns the error of a watch: that it was interrupted is none.
func (p *printer) ended(err error) error {
	if p.printed > 0 && p.command.Context().Err() != nil {
		return nil
	}
	return err
}

func (p *printer) print(a Answer) error {
	defer func() { p.printed++ }()
	if p.flags.Tabular() {
		return p.printTables(a)
	}
	var text bytes.Buffer
	if err := p.flags.document(&text, a); err != nil {
		return err
	}
	if p.printed > 0 && bytes.Equal(text.Bytes(), p.last) {
		return nil
	}
	p.last = text.Bytes()
	if p.printed > 0 && p.flags.Format == cli.FormatYAML {
		fmt.Fprintln(p.out, "---")
	}
	_, err := p.out.Write(text.Bytes())
	return err
}

// document writes a value as the format says.
func (f *Flags) document(w io.Writer, a Answer) error {
	if f.Format == cli.FormatJSON {
		return cli.Indented(w, a.Value)
	}
	var text bytes.Buffer
	if err := cli.Indented(&text, a.Value); err != nil {
		return err
	}
	switch f.Format {
	case cli.FormatYAML:
		if a.YAML == nil {
			var err error
			if a.YAML, err = yaml.JSONToYAML(text.Bytes()); err != nil {
				return err
			}
		}
		_, err := w.Write(a.YAML)
		return err
	}
	return f.path.print(w, text.Bytes())
}

func formatWords(formats []cli.Format) (words []string) {
	for _, f := range formats {
		if f == jsonPath {
			f += "=EXPRESSION"
		}
		words = append(words, string(f))
	}
	return words
}

// formatFlag is -o.
type formatFlag struct {
	flags   *Flags
	formats []cli.Format
}

// String implements pflag.Value.
func (f *formatFlag) String() string {
	if f.flags == nil {
		return ""
	}
	return string(f.flags.Format)
}

// Set implements pflag.Value.
func (f *formatFlag) Set(text string) error {
	word, expression, has := strings.Cut(text, "=")
	for _, known := range f.formats {
		if string(known) != word || has != (known == jsonPath) {
			continue
		}
		f.flags.Format = known
		var err error
		if has {
			f.flags.path, err = newPath(expression)
		}
		return err
	}
	return cli.NotOneOf(text, formatWords(f.formats))
}

// Type implements pflag.Value.
func (*formatFlag) Type() string { return "format" }
