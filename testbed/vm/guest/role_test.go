package guest

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"lbctl/testbed/vm/line"
)

// An order has one answer, or says why it has none.
func TestAnswer(t *testing.T) {
	double := func(text json.RawMessage) (any, error) {
		var n int
		if err := json.Unmarshal(text, &n); err != nil {
			return nil, errors.New("no number")
		}
		return 2 * n, nil
	}
	if got := answer(line.Message{Order: json.RawMessage("21")}, double); string(got.Answer) != "42" || got.Failed != "" {
		t.Errorf("answer %s, failed %q; want 42", got.Answer, got.Failed)
	}
	if got := answer(line.Message{Order: json.RawMessage(`"x"`)}, double); got.Answer != nil || got.Failed != "no number" {
		t.Errorf("answer %s, failed %q; want no number", got.Answer, got.Failed)
	}
}

// Outside a guest a role does nothing.
func TestRoleOutsideAGuest(t *testing.T) {
	h := Role("nobody", func(int) (int, error) { t.Error("obeyed"); return 0, nil })
	if err := h.Run(t.Context(), struct{}{}, nil, nil); err == nil || !strings.Contains(err.Error(), "not a guest") {
		t.Errorf("run: %v", err)
	}
}

// The layout is that of this machine's kernel: what it says of a struct whose beginning is the same in all of them.
func TestLayout(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		t.Skip("needs a kernel with type information")
	}
	l := NewLayout()
	size, err := l.Size("list_head")
	if err != nil || size != 16 {
		t.Errorf("size of list_head: %d, %v; want 16", size, err)
	}
	prev, err := l.Offset("", "list_head", "prev")
	if err != nil || prev != 8 {
		t.Errorf("offset of list_head.prev: %d, %v; want 8", prev, err)
	}
	data, errData := l.Offset("", "irq_desc", "irq_data")
	inner, errInner := l.Offset("", "irq_data", "irq")
	both, err := l.Offset("", "irq_desc", "irq_data", "irq")
	if errors.Join(errData, errInner, err) != nil || both != data+inner {
		t.Errorf("offset of irq_desc.irq_data.irq: %d, want %d + %d; %v", both, data, inner, err)
	}
	for _, fields := range [][]string{{"last"}, {"prev", "next"}} {
		if _, err := l.Offset("", "list_head", fields...); err == nil {
			t.Errorf("found list_head.%v", fields)
		}
	}
	if _, err := l.Size("no_such_struct"); err == nil {
		t.Error("found no_such_struct")
	}
}
