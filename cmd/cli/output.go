package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// Format is how data is printed: for a reader or for a script.
type Format string

const (
	FormatTable Format = "table"
	FormatJSON  Format = "json"
)

// String implements pflag.Value.
func (f *Format) String() string { return string(*f) }

// Set implements pflag.Value.
func (f *Format) Set(s string) error {
	switch Format(s) {
	case FormatTable, FormatJSON:
		*f = Format(s)
		return nil
	}
	return fmt.Errorf("want table or json")
}

// Type implements pflag.Value.
func (f *Format) Type() string { return "format" }

// OutputFlag adds -o to a command.
func OutputFlag(c *cobra.Command) *Format {
	f := FormatTable
	c.Flags().VarP(&f, "output", "o", "how to print: table or json")
	return &f
}

// Print writes v as JSON, or what table writes: cells end with a tab, rows with a newline.
func (a *App) Print(f Format, v any, table func(w io.Writer)) error {
	if f == FormatJSON {
		e := json.NewEncoder(a.Stdout)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(v)
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	table(w)
	return w.Flush()
}

// Row writes one row of a table.
func Row(w io.Writer, cells ...any) {
	text := make([]string, len(cells))
	for i, c := range cells {
		text[i] = fmt.Sprint(c)
		if text[i] == "" {
			text[i] = "-"
		}
	}
	fmt.Fprintln(w, strings.Join(text, "\t"))
}
