package lab

import (
	"fmt"
	"io"

	"github.com/schollz/progressbar/v3"

	"lbctl/testbed/experiment"
)

// NewProgress returns a progress bar for a terminal, else one that writes a line for
// each step.
func NewProgress(w io.Writer, terminal bool) experiment.Progress {
	if terminal {
		return &bar{out: w}
	}
	return lines{w}
}

// lines is progress for a log.
type lines struct{ out io.Writer }

// Begin implements experiment.Progress.
func (lines) Begin(int) {}

// Step implements experiment.Progress.
func (l lines) Step(what string) { fmt.Fprintln(l.out, what) }

// At implements experiment.Progress.
func (lines) At(int) {}

// End implements experiment.Progress.
func (lines) End() {}

// bar is progress for a person. It is removed at the end.
type bar struct {
	out io.Writer
	bar *progressbar.ProgressBar
}

// descriptionWidth keeps the bar in its place while the steps change.
const descriptionWidth = 24

// Begin implements experiment.Progress.
func (b *bar) Begin(total int) {
	b.bar = progressbar.NewOptions(total,
		progressbar.OptionSetWriter(b.out), progressbar.OptionSetWidth(32), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "━", SaucerPadding: "─", BarStart: "", BarEnd: ""}),
	)
}

// Step implements experiment.Progress.
func (b *bar) Step(what string) { b.bar.Describe(fmt.Sprintf("%-*s", descriptionWidth, what)) }

// At implements experiment.Progress. What cannot be drawn is not worth an error.
func (b *bar) At(done int) { _ = b.bar.Set(done) }

// End implements experiment.Progress.
func (b *bar) End() { _ = b.bar.Exit(); _ = b.bar.Clear() }
