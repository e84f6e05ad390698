package experiment

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// ErrParameter is wrapped by errors of parameters: the caller typed something wrong.
var ErrParameter = errors.New("bad parameter")

// Parameters are the typed, named parameters of a trial: a flag.FlagSet of which the
// trial defines the flags, each with its default and a line of help. Not safe for concurrent use.
type Parameters struct {
	flags *flag.FlagSet
}

// NewParameters returns what define defined.
func NewParameters(define func(*flag.FlagSet)) *Parameters {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	define(flags)
	return &Parameters{flags: flags}
}

// Set sets one parameter from "key=value". Errors wrap ErrParameter and name the
// parameters that there are, or what the value should have been.
func (p *Parameters) Set(assignment string) error {
	key, value, ok := strings.Cut(assignment, "=")
	if !ok {
		return fmt.Errorf("%w %q: want key=value", ErrParameter, assignment)
	}
	f := p.flags.Lookup(key)
	if f == nil {
		return fmt.Errorf("%w %q: there is no such parameter: want one of %s", ErrParameter, key, strings.Join(p.names(), ", "))
	}
	before := f.Value.String()
	if err := p.flags.Set(key, value); err != nil {
		_ = f.Value.Set(before) // a number that did not parse has become 0
		return fmt.Errorf("%w %s=%s: %w: want %s, for instance %s", ErrParameter, key, value, err, f.Usage, f.DefValue)
	}
	return nil
}

func (p *Parameters) names() []string {
	var names []string
	p.flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return names
}

// Parameter describes one parameter.
type Parameter struct {
	Name    string `json:"name"`
	Default string `json:"default"`
	Help    string `json:"help"`
}

// List returns all parameters, sorted by name.
func (p *Parameters) List() []Parameter {
	var list []Parameter
	p.flags.VisitAll(func(f *flag.Flag) {
		list = append(list, Parameter{Name: f.Name, Default: f.DefValue, Help: f.Usage})
	})
	return list
}

// Values returns the values by name, for the report: numbers as numbers.
func (p *Parameters) Values() map[string]any {
	values := map[string]any{}
	p.flags.VisitAll(func(f *flag.Flag) {
		values[f.Name] = f.Value.String()
		if getter, ok := f.Value.(flag.Getter); ok {
			switch v := getter.Get().(type) {
			case int, int64, uint, uint64, float64, bool:
				values[f.Name] = v
			}
		}
	})
	return values
}
