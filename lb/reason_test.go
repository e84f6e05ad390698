package lb_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/bpf"
	"lbctl/lb"
)

// The causes of losses are those of enum loss_cause, in its order.
func TestLossCauses(t *testing.T) {
	kernel, err := bpf.LossCauses()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(kernel, texts(lb.LossCauses())); diff != "" {
		t.Errorf("causes (-C +Go):\n%s", diff)
	}
}

func texts[T ~string](all []T) (texts []string) {
	for _, v := range all {
		texts = append(texts, string(v))
	}
	return texts
}

// The reasons are those of enum lb_reason, in its order, and the reference's comment has a row for each.
func TestReasons(t *testing.T) {
	kernel, err := bpf.Reasons()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(kernel, texts(lb.Reasons())); diff != "" {
		t.Errorf("reasons (-C +Go):\n%s", diff)
	}
	comment, err := os.ReadFile("oracle/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	words := strings.FieldsFunc(string(comment), func(r rune) bool { return strings.ContainsRune(" \t\n,", r) })
	has := map[string]bool{}
	for _, w := range words {
		has[w] = true
	}
	for _, name := range kernel {
		if !has[name] && name != string(lb.TableFault) { // which is never decided
			t.Errorf("the comment of lb/oracle does not say when a packet ends in %s", name)
		}
	}
}
