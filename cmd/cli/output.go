package cli

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lbctl/control/api"
	"lbctl/testbed/progress"
	"lbctl/testbed/report"
)

// Format is how data is printed: for a reader or for a script.
type Format string

// The formats that commands have.
const (
	FormatTable Format = "table"
	FormatYAML  Format = "yaml"
	FormatJSON  Format = "json"
)

// OutputFlag adds -o table|json to a command.
func OutputFlag(c *cobra.Command) *Format { return OutputFlagOf(c, FormatTable, FormatJSON) }

// OutputFlagOf adds -o with other formats, the first by default.
func OutputFlagOf(c *cobra.Command, formats ...Format) *Format {
	f := new(Format)
	ChoiceFlag(c, f, "output", "o", "how to print", formats...)
	return f
}

// Print writes v as JSON, or else what text writes: cells that end with a tab are aligned.
func (a *App) Print(f Format, v any, text func(w io.Writer)) error {
	if f == FormatJSON {
		return Indented(a.Stdout, v)
	}
	out := bufio.NewWriter(a.Stdout) // it writes cell by cell
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	text(w)
	return cmp.Or(w.Flush(), out.Flush())
}

// Indented writes a value as JSON for scripts, indented.
func Indented(w io.Writer, v any) error {
	j := JSONLines(w)
	j.encoder.SetIndent("", "  ")
	return j.Encode(v)
}

// Ranged returns the address and port of a VIP with the last port of its range, if it has one: 192.0.2.1:8000-8099.
func Ranged(vip string, end *int64) string {
	if end == nil {
		return vip
	}
	return fmt.Sprintf("%s-%d", vip, *end)
}

// Address is Ranged for a service.
func Address(s api.Service) string { return Ranged(s.VIP, s.EndPort) }

// Row writes one row of a table; an empty cell is a dash.
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

// Many returns "1 queue", "2 queues".
func Many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Percent writes a share, 0 to 1, with one decimal and without the sign.
func Percent(share float64) string { return fmt.Sprintf("%.1f", 100*share) }

// YesNo writes a truth.
func YesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// SideText writes one side of a change: "none" where there is nothing.
func SideText(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// FlowText returns "tcp 198.51.100.7:40000 > 192.0.2.1:80".
func FlowText(f api.Flow) string {
	return fmt.Sprintf("%s %s > %s", f.Protocol, f.Source, f.Destination)
}

// Progress returns a bar on stderr if that is a terminal, else a line for each step.
func (a *App) Progress() progress.Progress { return progress.New(a.Stderr, report.Terminal(a.Stderr)) }

// ProgressLines returns a line for each step, also on a terminal.
func (a *App) ProgressLines() progress.Progress { return progress.New(a.Stderr, false) }

// ProgressBar returns a bar on stderr if that is a terminal, else nothing.
func (a *App) ProgressBar() progress.Progress {
	if report.Terminal(a.Stderr) {
		return progress.New(a.Stderr, true)
	}
	return progress.Silent{}
}
