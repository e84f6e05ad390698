// Package config reads what somebody wrote, strictly, into the wire types of control/api: configuration files in YAML, and
// the bodies of requests in JSON. A field
// that nobody knows, a value of the wrong type, a file that ends too early is an error that names the
// line and column and says what would be right. What the values mean is judged later, by package wire
// and by the daemon; File.Locate finds the line of a field that they refuse.
package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/lb"
)

// File is a configuration file that has the right shape: only known fields, each
// of its type. Its values may still be wrong: see wire.Resolve.
type File struct {
	Name   string
	Config api.Config
	// text is what was parsed. Its tree, which takes some sixty times as much memory, is made again to locate a field.
	text []byte
}

// Read reads and parses a file; "-" is stdin. Errors: what os.Open says, or an *Error; ctx's, when it ends before. Then
// reading or parsing goes on in the background, for a short time at most unless stdin blocks.
func Read(ctx context.Context, name string, stdin io.Reader) (*File, error) {
	type result struct {
		file *File
		err  error
	}
	done := make(chan result, 1)
	go func() {
		file, err := read(name, stdin)
		done <- result{file, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		return r.file, r.err
	}
}

func read(name string, stdin io.Reader) (*File, error) {
	r := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return Parse(name, data)
}

// Parse parses the text of a file. The error is an *Error.
func Parse(name string, text []byte) (*File, error) {
	f := &File{Name: name, text: text}
	if tooMuch(text) == "" && readPlain(reflect.ValueOf(&f.Config).Elem(), text) {
		return f, nil
	}
	f.Config = api.Config{}
	body, err := f.parse(text)
	if err != nil {
		return nil, err
	}
	d := decoder{fields: map[reflect.Type][]field{}}
	d.decode(reflect.ValueOf(&f.Config).Elem(), body, nil, body.GetToken())
	if len(d.problems) > 0 {
		return nil, &Error{File: name, Problems: d.problems, More: d.more}
	}
	return f, nil
}

// parse returns the document of the text, of which there must be one.
func (f *File) parse(text []byte) (ast.Node, error) {
	text = bytes.TrimPrefix(text, []byte("\uFEFF")) // a byte order mark, as YAML 1.2 allows
	if reason := tooMuch(text); reason != "" {
		return nil, f.whole(reason, "is it a configuration file? A million replicas take less")
	}
	if reason, hint := unfinished(text); reason != "" {
		return nil, f.whole(reason, hint)
	}
	tree, deep, err := parseText(text)
	switch {
	case err != nil:
		return nil, f.syntax(err)
	case deep != nil:
		return nil, &Error{File: f.Name, Problems: []Problem{*deep}}
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
	return &Error{File: f.Name, Problems: []Problem{{Problem: intent.NewProblem("", hint, reason)}}}
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
	p := Problem{Problem: intent.NewProblem("", hint, where.GetMessage())}
	if t := where.GetToken(); t != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	return &Error{File: f.Name, Problems: []Problem{p}}
}

// Locate adds the file's name, and the line and column of every field, to an *intent.Error about its
// content. It returns other errors as they are.
func (f *File) Locate(err error) error {
	var e *intent.Error
	if !errors.As(err, &e) {
		return err
	}
	body, broken := f.parse(f.text)
	if broken != nil {
		return broken
	}
	located := &Error{File: f.Name, More: e.More}
	for _, p := range e.Problems {
		line, column := place(body, p.Field)
		located.Problems = append(located.Problems, Problem{p, line, column})
	}
	return located
}

// Problem is one thing that is wrong with a file, and where.
type Problem struct {
	lb.Problem
	// Line and Column count from 1; 0 is unknown.
	Line, Column int
}

// Error says everything that is wrong with a file. It wraps lb.ErrInvalid.
type Error struct {
	File string
	// Problems has at least one element.
	Problems []Problem
	// More is how many there are beyond those.
	More int
}

// Error describes the first problem and counts the others, in one line:
// "lb.yaml:9:14: services[0].vip: port 0 (and 2 more problems)".
func (e *Error) Error() string {
	p := e.Problems[0]
	place := e.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", e.File, p.Line, p.Column)
	}
	return place + ": " + intent.Summary(p.Problem, len(e.Problems)+e.More)
}

// Hint says what would be right in the place of the first problem.
func (e *Error) Hint() string { return e.Problems[0].Hint }

// Unwrap makes errors.Is(err, lb.ErrInvalid) true.
func (e *Error) Unwrap() error { return lb.ErrInvalid }

// Write returns a configuration as the YAML text of a file: Parse of it gives the configuration again. A list of
// interfaces that is empty is written, because without it a file leaves interfaces as they are.
func Write(c api.Config) ([]byte, error) {
	text, err := yaml.MarshalWithOptions(c, yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	if c.Interfaces != nil && len(c.Interfaces) == 0 {
		text = append([]byte("interfaces: []\n"), text...)
	}
	return text, nil
}
