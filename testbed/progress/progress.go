// Package progress shows how far a long run is, on a terminal or in a log.
package progress

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Progress is told how far something is. Calls come from one goroutine at a time.
type Progress interface {
	// Begin says how much there is to do, in any unit: requests. A second call corrects it.
	Begin(total int)
	// Step says that another part begins, and what it is: "control: spray".
	Step(what string)
	// At says how much is done since the first Begin.
	At(done int)
	// End says that it is over, whether or not all was done.
	End()
}

// Silent is progress that is shown to nobody.
type Silent struct{}

// Begin implements Progress.
func (Silent) Begin(int) {}

// Step implements Progress.
func (Silent) Step(string) {}

// At implements Progress.
func (Silent) At(int) {}

// End implements Progress.
func (Silent) End() {}

// New returns a progress bar for a terminal, else one that writes a line for
// each step.
func New(w io.Writer, terminal bool) Progress {
	if terminal {
		return &bar{out: w}
	}
	return lines{w}
}

// lines is progress for a log.
type lines struct{ out io.Writer }

// Begin implements Progress.
func (lines) Begin(int) {}

// Step implements Progress.
func (l lines) Step(what string) { fmt.Fprintln(l.out, what) }

// At implements Progress.
func (lines) At(int) {}

// End implements Progress.
func (lines) End() {}

// bar is progress for a person. It is removed at the end.
type bar struct {
	out io.Writer
	bar *progressbar.ProgressBar
}

// descriptionWidth keeps the bar in its place while the steps change.
const descriptionWidth = 44

// Begin implements Progress. A second call corrects the total.
func (b *bar) Begin(total int) {
	if b.bar != nil {
		b.bar.ChangeMax(total)
		return
	}
	b.bar = newBar(b.out, int64(total), progressbar.OptionShowCount())
}

func newBar(out io.Writer, total int64, more ...progressbar.Option) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total, append(more,
		progressbar.OptionSetWriter(out), progressbar.OptionSetWidth(20),
		progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "━", SaucerPadding: "─", BarStart: "", BarEnd: ""}),
	)...)
}

// Step implements Progress.
func (b *bar) Step(what string) { b.bar.Describe(fmt.Sprintf("%-*s", descriptionWidth, what)) }

// At implements Progress. What cannot be drawn is not worth an error.
func (b *bar) At(done int) { _ = b.bar.Set(done) }

// End implements Progress.
func (b *bar) End() { _ = b.bar.Exit(); _ = b.bar.Clear() }

// Reader returns in with a bar on a terminal that shows how many of size bytes were read, until end.
func Reader(terminal io.Writer, in io.Reader, size int64) (read io.Reader, end func()) {
	b := newBar(terminal, size, progressbar.OptionShowBytes(true), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetDescription("read"))
	return io.TeeReader(in, b), func() { _ = b.Clear() }
}
