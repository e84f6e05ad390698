package experiment

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrParameter is wrapped by errors of parameters: the caller typed something wrong.
var ErrParameter = errors.New("bad parameter")

// Parameters are the typed, named parameters of a design: each has bounds, a default, sizes, and a line of
// help. Not safe for concurrent use.
type Parameters struct {
	list   []*parameter
	checks []func() error
}

// Parameter describes one parameter. Low and High are the bounds of a number, both included, and empty for anything else. Quick
// and Full are its values at those sizes, empty where they are the default.
type Parameter struct {
	Name    string `json:"name"`
	Low     string `json:"low,omitempty"`
	High    string `json:"high,omitempty"`
	Default string `json:"default"`
	Quick   string `json:"quick,omitempty"`
	Full    string `json:"full,omitempty"`
	Help    string `json:"help"`
}

type parameter struct {
	Parameter
	set   func(text string) error
	value func() any
}

// NewParameters returns the parameters of a design, at their defaults.
func NewParameters(d Design) *Parameters {
	p := &Parameters{}
	d.Parameters(p)
	return p
}

// Range is what a number can be: from Low to High, by default Default, and at the other sizes Quick and Full,
// where 0 stands for the default.
type Range[T cmp.Ordered] struct{ Low, High, Default, Quick, Full T }

// The ranges of the types of numbers.
type (
	Ints      = Range[int]
	Floats    = Range[float64]
	Durations = Range[time.Duration]
)

// Int defines a whole number.
func (p *Parameters) Int(to *int, name string, r Ints, help string) {
	number(p, to, name, r, help, func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil {
			return 0, errors.New("no whole number")
		}
		return n, nil
	})
}

// Float defines a number.
func (p *Parameters) Float(to *float64, name string, r Floats, help string) {
	number(p, to, name, r, help, func(text string) (float64, error) {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, errors.New("no number")
		}
		return v, nil
	})
}

// Duration defines a time: "12s".
func (p *Parameters) Duration(to *time.Duration, name string, r Durations, help string) {
	number(p, to, name, r, help, func(text string) (time.Duration, error) {
		v, err := time.ParseDuration(text)
		if err != nil {
			return 0, errors.New("no time")
		}
		return v, nil
	})
}

// Bool defines a switch.
func (p *Parameters) Bool(to *bool, name string, value bool, help string) {
	Value(p, to, name, strconv.FormatBool(value), help, func(text string) (bool, error) {
		v, err := strconv.ParseBool(text)
		if err != nil {
			return false, errors.New("neither true nor false")
		}
		return v, nil
	})
}

// String defines a text.
func (p *Parameters) String(to *string, name, value, help string) {
	Value(p, to, name, value, help, func(text string) (string, error) { return text, nil })
}

// number defines a parameter with bounds.
func number[T cmp.Ordered](p *Parameters, to *T, name string, r Range[T], help string, parse func(string) (T, error)) {
	Value(p, to, name, fmt.Sprint(r.Default), help, func(text string) (T, error) {
		v, err := parse(text)
		if err == nil && !(v >= r.Low && v <= r.High) { // so that NaN is out of bounds
			err = bounds(fmt.Sprintf("want %v to %v", r.Low, r.High))
		}
		return v, err
	})
	last, zero := p.list[len(p.list)-1], *new(T)
	last.Low, last.High = fmt.Sprint(r.Low), fmt.Sprint(r.High)
	if r.Quick != zero {
		last.Quick = fmt.Sprint(r.Quick)
	}
	if r.Full != zero {
		last.Full = fmt.Sprint(r.Full)
	}
}

// bounds is the error of a value that parses and is out of bounds: it says itself what would be right.
type bounds string

func (b bounds) Error() string { return string(b) }

// Value defines a parameter of any type by a function that parses it. The default must parse.
func Value[T any](p *Parameters, to *T, name, value, help string, parse func(string) (T, error)) {
	text := value
	d := &parameter{Parameter: Parameter{Name: name, Default: value, Help: help}}
	d.set = func(typed string) error {
		v, err := parse(typed)
		if err == nil {
			*to, text = v, typed
		}
		return err
	}
	d.value = func() any {
		switch v := any(*to).(type) {
		case int, float64, bool:
			return v
		}
		return text
	}
	if err := d.set(value); err != nil {
		panic(fmt.Sprintf("default of parameter %s: %v", name, err))
	}
	p.list = append(p.list, d)
}

// Check adds what Validate asks for: a condition between several parameters. Its errors wrap ErrParameter (see Within).
func (p *Parameters) Check(condition func() error) { p.checks = append(p.checks, condition) }

// Validate checks the conditions between parameters. Each parameter's own bounds were checked when it was set.
func (p *Parameters) Validate() error {
	for _, condition := range p.checks {
		if err := condition(); err != nil {
			return err
		}
	}
	return nil
}

// Within returns an error, which wraps ErrParameter, if a parameter's value is out of bounds that other parameters decide.
func Within(name string, value, low, high int) error {
	if value < low || value > high {
		return fmt.Errorf("%w %s=%d: want %d to %d", ErrParameter, name, value, low, high)
	}
	return nil
}

// Set sets one parameter from "key=value". Errors wrap ErrParameter and list the
// parameters that there are, or say what the value should have been; then the value stays as it was.
func (p *Parameters) Set(assignment string) error {
	key, value, ok := strings.Cut(assignment, "=")
	if !ok {
		return fmt.Errorf("%w %q: want key=value", ErrParameter, assignment)
	}
	for _, d := range p.list {
		if d.Name != key {
			continue
		}
		err := d.set(value)
		var out bounds
		switch {
		case errors.As(err, &out):
			return fmt.Errorf("%w %s: %w", ErrParameter, assignment, err)
		case err != nil:
			return fmt.Errorf("%w %s: %w: want for instance %s (%s)", ErrParameter, assignment, err, d.Default, d.Help)
		}
		return nil
	}
	return fmt.Errorf("%w %q: unknown: want one of %s", ErrParameter, key, strings.Join(p.names(), ", "))
}

// Size is a choice of values for all parameters.
type Size string

// The sizes: Quick for a test, Full for a machine that has the time.
const (
	Quick Size = "quick"
	Full  Size = "full"
)

// Resize sets every parameter to its value at a size.
func (p *Parameters) Resize(s Size) error {
	for _, d := range p.list {
		value := map[Size]string{Quick: d.Quick, Full: d.Full}[s]
		if value == "" {
			value = d.Default
		}
		if err := d.set(value); err != nil {
			return fmt.Errorf("%w %s=%s: %w", ErrParameter, d.Name, value, err)
		}
	}
	return nil
}

func (p *Parameters) names() (names []string) {
	for _, d := range p.List() {
		names = append(names, d.Name)
	}
	return names
}

// List describes all parameters, in the order of their definition.
func (p *Parameters) List() (list []Parameter) {
	for _, d := range p.list {
		list = append(list, d.Parameter)
	}
	return list
}

// Values returns the values by name, for the report: numbers as numbers.
func (p *Parameters) Values() map[string]any {
	values := map[string]any{}
	for _, d := range p.list {
		values[d.Name] = d.value()
	}
	return values
}
