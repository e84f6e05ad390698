package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
)

// TestMan: every command has a page without a date, which man formats without a warning, and lbctl.yaml(5) has every field of the schema.
func TestMan(t *testing.T) {
	w := newWorld(t)
	if out := w.OK("man", w.Path("man")); out != "" {
		t.Errorf("it says %s", out)
	}
	a := &cli.App{Environment: w.Environment(t.Context())}
	pages := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if !c.IsAvailableCommand() && c.HasParent() || c.Name() == "help" {
			return
		}
		pages++
		checkPage(t, w.Path("man/man1/"+strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"), "EXAMPLE")
		for _, below := range c.Commands() {
			walk(below)
		}
	}
	walk(a.Root(commands(a)...))
	if pages < 50 {
		t.Errorf("%d pages", pages)
	}
	five := checkPage(t, w.Path("man/man5/lbctl.yaml.5"), "EXAMPLE")
	fields := fieldsOf(t, w.OK("schema"))
	for _, field := range fields {
		if !strings.Contains(strings.ReplaceAll(five, `\-`, "-"), `\fB`+field+`\fP`) {
			t.Errorf("lbctl.yaml(5) lacks %s", field)
		}
	}
	if !slices.Contains(fields, "services[].replicas[].drain_until") || len(fields) < 60 {
		t.Errorf("the fields are %v", fields)
	}
	first, again := w.Path("man/man1/lbctl-drain.1"), w.Path("again/man1/lbctl-drain.1")
	w.OK("man", w.Path("again"))
	a1, _ := os.ReadFile(first)
	a2, _ := os.ReadFile(again)
	if string(a1) != string(a2) || len(a1) == 0 {
		t.Error("the second time the page is another one")
	}
}

// fieldsOf returns the fields of a configuration file, as the page names them, from its JSON Schema.
func fieldsOf(t *testing.T, text string) (all []string) {
	t.Helper()
	type property struct {
		Ref      string `json:"$ref"`
		ReadOnly bool   `json:"readOnly"`
		Items    *property
	}
	var schema struct {
		Defs map[string]struct{ Properties map[string]property } `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(text), &schema); err != nil {
		t.Fatal(err)
	}
	var walk func(ref, path string)
	walk = func(ref, path string) {
		for name, p := range schema.Defs[filepath.Base(ref)].Properties {
			if p.ReadOnly {
				continue
			}
			name = path + name
			if p.Items != nil {
				name, p = name+"[]", *p.Items
			}
			all = append(all, name)
			if p.Ref != "" {
				walk(p.Ref, name+".")
			}
		}
	}
	walk("Config", "")
	return all
}

// checkPage formats a page with man or mandoc, where there is one.
func checkPage(t *testing.T, name, section string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Error(err)
		return ""
	}
	if !strings.Contains(string(text), ".SH "+section) && !strings.Contains(name, "completion") {
		t.Errorf("%s has no section %s", filepath.Base(name), section)
	}
	if title := `" "" "lbctl `; !strings.Contains(string(text), title) {
		t.Errorf("%s bears a date", filepath.Base(name))
	}
	if _, err := exec.LookPath("groff"); err == nil {
		out, err := exec.Command("groff", "-man", "-ww", "-z", "-Tutf8", "-Kutf8", name).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("groff: %v %s", err, out)
		}
	}
	return string(text)
}
