package show

import (
	"bufio"
	"context"
	"io"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
)

// Streams reports whether an answer that is JSON can be printed as it comes.
func (f *Flags) Streams() bool { return f.Format == cli.FormatJSON && !f.watch }

// Stream prints the JSON that is written to it, as Run prints a value. Nothing of it is held: 100,000 replicas are 66 MB.
func (f *Flags) Stream(a *cli.App, c *cobra.Command, write func(context.Context, io.Writer) error) error {
	if err := f.Check(c); err != nil {
		return err
	}
	to := &indenter{out: bufio.NewWriterSize(a.Stdout, 64<<10)}
	if err := write(c.Context(), to); err != nil {
		return err
	}
	return to.out.Flush()
}

// indenter writes the JSON that is written to it indented by two spaces a level, each field and element on a line. It takes
// any white space between them, and does not look whether it is JSON.
type indenter struct {
	out     *bufio.Writer
	depth   int
	inText  bool // between quotes
	escaped bool // after a backslash
	opened  bool // after the start of an object or a list
}

// Write implements io.Writer.
func (i *indenter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if i.inText {
			rest = rest[i.text(rest):]
			continue
		}
		i.between(rest[0])
		rest = rest[1:]
	}
	_, err := i.out.Write(nil) // the error that it keeps, if there is one
	return len(p), err
}

// text writes what is in quotes, up to the second of them, and returns how much that is.
func (i *indenter) text(p []byte) int {
	for n, c := range p {
		switch {
		case i.escaped:
			i.escaped = false
		case c == '\\':
			i.escaped = true
		case c == '"':
			i.inText = false
			i.out.Write(p[:n+1])
			return n + 1
		}
	}
	i.out.Write(p)
	return len(p)
}

// between writes what is not in quotes.
func (i *indenter) between(c byte) {
	switch c {
	case ' ', '\t', '\r', '\n':
		if c == '\n' && i.depth == 0 {
			i.out.WriteByte(c)
		}
		return
	case '}', ']':
		i.depth--
		if !i.opened {
			i.line()
		}
		i.opened = false
		i.out.WriteByte(c)
		return
	}
	if i.opened {
		i.opened = false
		i.line()
	}
	i.out.WriteByte(c)
	switch c {
	case '{', '[':
		i.depth++
		i.opened = true
	case ',':
		i.line()
	case ':':
		i.out.WriteByte(' ')
	case '"':
		i.inText = true
	}
}

func (i *indenter) line() {
	const spaces = "\n                                "
	n := min(2*i.depth+1, len(spaces))
	i.out.WriteString(spaces[:n])
	for ; n < 2*i.depth+1; n++ {
		i.out.WriteByte(' ')
	}
}
