package day

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChapter(t *testing.T) {
	steps, err := chapter("## Before\n```console\nbalancer# no\n```\n" + title + "\ntext\n```console\nbalancer# one --two   # why\nout 1\n...\nclient$ three\n```\n" +
		"```yaml\n# a.yaml\nfield: 1\n\nbalancer# a comment\n```\n```text\nbalancer# no\n## No\n```\n## After\n```console\nbalancer# no\n```\n")
	want := []step{
		{machine: "balancer", command: "one --two   # why", line: 8, output: []string{"out 1", "..."}},
		{machine: "client", command: "three", line: 11},
		{file: "a.yaml", line: 14, output: []string{"field: 1", "", "balancer# a comment"}},
	}
	if err != nil || !cmp.Equal(steps, want, cmp.AllowUnexported(step{})) {
		t.Errorf("%v, %s", err, cmp.Diff(want, steps, cmp.AllowUnexported(step{})))
	}
	for _, none := range []string{"", title + "\n```console\nout\n```\n", "# Another\n```console\nbalancer# one\n```\n"} {
		if steps, err := chapter(none); err == nil {
			t.Errorf("%q has the steps %v", none, steps)
		}
	}
}

func TestMissing(t *testing.T) {
	printed := []string{"NAME  VIP", "web   10.0.0.1:80  3 of 3", "since 2026-11-30T11:00:00Z, 12.5 %"}
	for _, c := range []struct {
		want []string
		gone string
	}{
		{printed, ""},
		{[]string{"NAME VIP", "...", "since 2027-01-01T00:00:00Z, 7 %"}, ""},
		{[]string{"web 192.0.2.1:80 2 of 2"}, ""},
		{[]string{"web 192.0.2.1:80 two of 2"}, "web 192.0.2.1:80 two of 2"},
		{[]string{"web 10.0.0.1:80 3 of 3", "NAME VIP"}, "NAME VIP"},
		{append(slices.Clone(printed), "more"), "more"},
	} {
		if gone := missing(c.want, printed); gone != c.gone {
			t.Errorf("%q: missing %q, want %q", c.want, gone, c.gone)
		}
	}
}
