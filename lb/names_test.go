package lb_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"lbctl/lb"
)

// name is a value of an enum, its name, and the parser that reads it back.
type name struct {
	value fmt.Stringer
	name  string
	parse func(string) (fmt.Stringer, error)
}

// reading makes a parser of an enum one of any.
func reading[T fmt.Stringer](parse func(string) (T, error)) func(string) (fmt.Stringer, error) {
	return func(s string) (fmt.Stringer, error) { return parse(s) }
}

func TestNames(t *testing.T) {
	scheduler, mode := reading(lb.ParseScheduler), reading(lb.ParseMode)
	hash, attach := reading(lb.ParseHash), reading(lb.ParseAttachMode)
	tracking, state := reading(lb.ParseTracking), reading(lb.ParseReplicaState)
	for _, c := range []name{
		{lb.Modulo, "modulo", scheduler}, {lb.Maglev, "maglev", scheduler}, {lb.NAT, "nat", mode},
		{lb.DSR, "dsr", mode}, {lb.IPIP, "ipip", mode},
		{lb.Stateless, "never", tracking}, {lb.TrackChanges, "changes", tracking}, {lb.TrackAlways, "always", tracking},
		{lb.Active, "active", state}, {lb.Draining, "draining", state}, {lb.Down, "down", state},
		{lb.JHash, "jhash", hash}, {lb.ToeplitzHash, "toeplitz", hash},
		{lb.Auto, "auto", attach}, {lb.Native, "native", attach}, {lb.Generic, "generic", attach},
		{lb.DropNoService, "drop", reading(lb.ParseNoService)}, {lb.RejectNoService, "reject", reading(lb.ParseNoService)},
	} {
		if got := c.value.String(); got != c.name {
			t.Errorf("%#v is called %q, want %q", c.value, got, c.name)
		}
		if got, err := c.parse(c.name); err != nil || got != c.value {
			t.Errorf("parse %q: %v, %v", c.name, got, err)
		}
		for _, wrong := range []string{"", "no such name", c.name + " ", "NAT"} {
			if _, err := c.parse(wrong); !errors.Is(err, lb.ErrInvalid) {
				t.Errorf("parse %q: error %v, want %v", wrong, err, lb.ErrInvalid)
			}
		}
	}
}

func TestNamesOfUnknown(t *testing.T) {
	for want, v := range map[string]fmt.Stringer{
		"scheduler-9": lb.Scheduler(9), "mode-9": lb.Mode(9), "hash-9": lb.Hash(9),
		"tracking-9": lb.Tracking(9), "state-9": lb.ReplicaState(9), "no-service-9": lb.NoService(9),
	} {
		if got := v.String(); got != want {
			t.Errorf("%#v: %q, want %q", v, got, want)
		}
	}
}

// TestReasonsComplete compares Reasons with the constants in reason.go.
func TestReasonsComplete(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []lb.Reason
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, is := n.(*ast.ValueSpec); is {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			declared = append(declared, lb.Reason(value))
		}
		return true
	})
	if len(declared) == 0 || !slices.Equal(lb.Reasons(), declared) {
		t.Errorf("reasons %v, declared %v", lb.Reasons(), declared)
	}
}
