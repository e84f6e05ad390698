package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"lbctl/control/api"
)

// maxFile is the size of the largest file that is read, in bytes: a limit on
// accidents, far above a million replicas.
const maxFile = 256 << 20

// File is a configuration file that has the right shape: only known fields, each
// of its type. Its values may still be wrong: see Resolve.
type File struct {
	Name   string
	Config api.Config
	body   ast.Node
}

// Read reads and parses a file; "-" is stdin. Errors: what os.Open says, or an *Error.
func Read(name string, stdin io.Reader) (*File, error) {
	r := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, maxFile))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return Parse(name, data)
}

// Parse parses the text of a file. The error is an *Error.
func Parse(name string, text []byte) (*File, error) {
	f := &File{Name: name}
	var err error
	if f.body, err = f.parse(text); err != nil {
		return nil, err
	}
	s := shape{fields: map[reflect.Type][]field{}}
	s.fill(reflect.ValueOf(&f.Config).Elem(), f.body, nil, f.body.GetToken())
	if err := s.problems.err(); err != nil {
		return nil, f.Locate(err)
	}
	return f, nil
}

// parse returns the one document of the text.
func (f *File) parse(text []byte) (ast.Node, error) {
	if reason, hint := unfinished(text); reason != "" {
		return nil, f.whole(reason, hint)
	}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, f.syntax(err)
	}
	if len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
		return nil, f.whole(empty, emptyHint)
	}
	if len(tree.Docs) > 1 {
		return nil, f.whole("more than one document", "remove what follows the line ---")
	}
	return tree.Docs[0].Body, nil
}

const (
	empty     = "is empty: half-written?"
	emptyHint = "write the services, or services: [] for none"
)

// unfinished says why the text cannot be a complete file, or "". A text file ends with
// the end of a line; one that was cut off usually does not.
func unfinished(text []byte) (reason, hint string) {
	end := bytes.TrimRight(text, " \t\r\n")
	switch {
	case len(end) == 0:
		return empty, emptyHint
	case bytes.IndexByte(text, 0) >= 0 || !utf8.Valid(text):
		return "holds bytes that are not text: half-written, or not YAML?", "write the file again, in UTF-8"
	case !bytes.HasSuffix(text, []byte("\n")) && !bytes.ContainsRune([]byte("]}"), rune(end[len(end)-1])):
		return "ends in the middle of a line: half-written?", "write the file again; if it is complete, end its last line"
	}
	return "", ""
}

func (f *File) whole(reason, hint string) error {
	var ps problems
	ps.add("", hint, "%s", reason)
	return f.Locate(ps.err())
}

// syntax turns an error of the YAML package into ours.
func (f *File) syntax(err error) error {
	var where yaml.Error
	if !errors.As(err, &where) {
		return f.whole(err.Error(), "correct the YAML")
	}
	hint := `correct the YAML there; text that starts with [ or { or holds ": " needs quotes`
	if strings.Contains(where.GetMessage(), "could not find") {
		hint = "complete it; the file ends too early: half-written?"
	}
	var ps problems
	ps.add("", hint, "%s", where.GetMessage())
	if t := where.GetToken(); t != nil {
		ps.at(t.Position)
	}
	return f.Locate(ps.err())
}

// Locate adds the file's name, line and column to an *Error about its content,
// and returns other errors as they are.
func (f *File) Locate(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	located := &Error{File: f.Name}
	for _, p := range e.Problems {
		if p.Line == 0 {
			p.Line, p.Column = f.place(p.Field)
		}
		located.Problems = append(located.Problems, p)
	}
	return located
}
