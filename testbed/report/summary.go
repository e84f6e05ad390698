package report

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// Colour reports whether a summary on w may be coloured: w is a terminal that
// is not dumb, and NO_COLOR (https://no-color.org) is not set.
func Colour(w io.Writer, getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && Terminal(w)
}

// Terminal reports whether w is a terminal.
func Terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Summary writes a result for a terminal: a line for each check and control, the
// detail of those that did not pass, the verdict, and the report's file in dir, unless that is empty.
func Summary(w io.Writer, r Result, dir string, coloured bool) error {
	p := palette(coloured)
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s%s, problem %s, seed %d\n", p.bold, r.Experiment, p.off, r.Problem, r.Seed)
	for _, line := range []string{r.Question, r.Headline} {
		if line != "" {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	widths := columns(r)
	block(&b, "checks", r.Checks, widths, p)
	block(&b, "controls", r.Controls, widths, p)
	predictions(&b, r.Predictions, p)
	b.WriteString("\n")
	colour, word := p.fail, "FAIL"
	switch r.Outcome() {
	case Pass:
		colour, word = p.pass, "pass"
	case Undetermined:
		colour, word = p.open, "undetermined"
	}
	b.WriteString(colour + word + p.off)
	if dir != "" {
		b.WriteString("  " + filepath.Join(dir, htmlFile))
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// colours are escape sequences, or nothing.
type colours struct{ pass, fail, open, dim, bold, off string }

func palette(on bool) colours {
	if !on {
		return colours{}
	}
	return colours{pass: "\x1b[32m", fail: "\x1b[31;1m", open: "\x1b[33m", dim: "\x1b[2m", bold: "\x1b[1m", off: "\x1b[0m"}
}

// columns returns the widths of name, measured and expected, over all lines.
func columns(r Result) (widths [3]int) {
	widths = [3]int{len("controls"), len("measured"), len("expected")}
	for _, list := range [][]Check{r.Checks, r.Controls} {
		for _, c := range list {
			for i, cell := range c.cells() {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
	}
	return widths
}

func (c Check) cells() [3]string {
	measured := Cell(c.Measured)
	if interval := c.Estimate.Interval(); interval != "" {
		measured += " (" + interval + ")"
	}
	return [3]string{c.Name, measured, Cell(c.Expected)}
}

func block(b *strings.Builder, title string, checks []Check, widths [3]int, p colours) {
	fmt.Fprintf(b, "\n%s    %-*s  %*s  %*s%s\n", p.dim, widths[0], title,
		widths[1], "measured", widths[2], "expected", p.off)
	for _, c := range checks {
		cells := c.cells()
		fmt.Fprintf(b, "  %s %-*s  %*s  %s%*s%s\n", p.mark(c.Outcome()), widths[0], cells[0],
			widths[1], cells[1], p.dim, widths[2], cells[2], p.off)
		if !c.Pass {
			fmt.Fprintf(b, "      %s\n", c.Detail)
		}
		if c.Estimate != nil && c.Estimate.Why != "" {
			fmt.Fprintf(b, "      undetermined: %s\n", c.Estimate.Why)
		}
	}
}

// predictions writes a line for each prediction: what was predicted and what was measured.
func predictions(b *strings.Builder, list []Prediction, p colours) {
	if len(list) == 0 {
		return
	}
	widths := [2]int{len("predictions"), len("predicted")}
	for _, one := range list {
		widths[0] = max(widths[0], utf8.RuneCountInString(one.Name))
		widths[1] = max(widths[1], utf8.RuneCountInString(ValueText(one.Predicted, one.Measured.Unit)))
	}
	fmt.Fprintf(b, "\n%s    %-*s  %*s  measured%s\n", p.dim, widths[0], "predictions", widths[1], "predicted", p.off)
	for _, one := range list {
		fmt.Fprintf(b, "  %s %-*s  %*s  %s\n", p.mark(one.Verdict), widths[0], one.Name, widths[1], ValueText(one.Predicted, one.Measured.Unit), one.Measured.Text())
	}
}

func (p colours) mark(v Verdict) string {
	switch v {
	case Pass:
		return p.pass + "✓" + p.off
	case Fail:
		return p.fail + "✗" + p.off
	}
	return p.open + "?" + p.off
}
