package about

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"lbctl/cmd/cli"
	"lbctl/control/client"
)

// Piece returns what a file of a bundle has: a []byte as it is, else it is written as JSON.
type Piece func(context.Context) (any, error)

// piece is a file that is to be collected.
type piece struct {
	name string
	of   Piece
}

// bundle is what was collected.
type bundle struct {
	name   string
	now    time.Time
	files  []part
	errors []string
}

// part is a file of a bundle, and its line in the manifest.
type part struct {
	Name    string  `json:"name"`
	Bytes   int     `json:"bytes"`
	Seconds float64 `json:"seconds"`
	text    []byte
}

// manifest is manifest.json.
type manifest struct {
	Time  time.Time `json:"time"`
	Build cli.Build `json:"build"`
	Files []part    `json:"files"`
}

// collect makes a bundle of pieces, each even if others fail, and takes the secrets of the checks out of all of them.
func collect(ctx context.Context, a *cli.App, d *client.Client, name string, all []piece) *bundle {
	b := &bundle{name: name, now: a.Clock.Now()}
	secrets, err := secretsOf(ctx, d)
	if err != nil {
		b.errors = append(b.errors, "secrets of the configuration: "+cli.OneLine(err.Error()))
	}
	for _, p := range all {
		began := a.Clock.Now()
		text, err := p.text(ctx, a.Clock)
		text = secrets.cut(text)
		if err != nil {
			b.errors = append(b.errors, p.name+": "+string(secrets.cut([]byte(cli.OneLine(err.Error())))))
		}
		if len(text) > mostBytes {
			b.errors = append(b.errors, fmt.Sprintf("%s: cut: it has %d bytes", p.name, len(text)))
			text = text[:mostBytes]
		}
		if len(text) > 0 {
			b.files = append(b.files, part{p.name, len(text), a.Clock.Now().Sub(began).Seconds(), text})
		}
	}
	var errs bytes.Buffer
	for _, e := range b.errors {
		fmt.Fprintln(&errs, e)
	}
	b.files = append(b.files, part{Name: "errors.txt", Bytes: errs.Len(), text: errs.Bytes()})
	m := manifest{b.now.UTC(), cli.ThisBuild(), b.files}
	var text bytes.Buffer
	_ = cli.Indented(&text, m) // of plain values to memory: it cannot fail
	b.files = append(b.files, part{Name: "manifest.json", Bytes: text.Len(), text: text.Bytes()})
	return b
}

// text waits for a piece, not for ever: some of what it asks takes no context.
func (p piece) text(ctx context.Context, clock cli.Clock) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		text []byte
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		v, err := p.of(ctx)
		text, plain := v.([]byte)
		if !plain && v != nil && err == nil {
			var b bytes.Buffer
			err = cli.Indented(&b, v)
			text = b.Bytes()
		}
		done <- outcome{text, err}
	}()
	select {
	case o := <-done:
		return o.text, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-clock.After(pieceTime):
		return nil, fmt.Errorf("not there after %v", pieceTime)
	}
}

// limited reads what there is, but not more than is kept.
func limited(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, mostBytes+1)) }
