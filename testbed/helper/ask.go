package helper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Ask gives a process an order, a line of JSON, and returns its answer, a line of JSON. When ctx ends first, the
// process is killed.
func Ask[A any](ctx context.Context, p *Process, order any) (answer A, err error) {
	defer context.AfterFunc(ctx, p.Kill)()
	text, err := json.Marshal(order)
	if err != nil {
		return answer, fmt.Errorf("encode order of %s: %w", p.name, err)
	}
	if err := p.Tell(text); err != nil {
		return answer, errors.Join(ctx.Err(), err)
	}
	answer, err = Answer[A](p)
	if err != nil {
		return answer, errors.Join(ctx.Err(), err)
	}
	return answer, nil
}

// Answer reads a line of JSON from a process.
func Answer[A any](p *Process) (answer A, err error) {
	line, err := p.Line()
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal([]byte(line), &answer); err != nil {
		return answer, fmt.Errorf("read answer of %s, %.80q: %w", p.name, line, err)
	}
	return answer, nil
}
