package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
)

var update = flag.Bool("update", false, "write the golden file of TestWire")

// wireFile has the shape of every command's data: names and JSON types, no values.
const wireFile = "testdata/wire.txt"

// TestWire runs every command that prints data, with -o json, and compares the shape of what it prints with the golden file.
func TestWire(t *testing.T) {
	golden := readGolden(t)
	for _, c := range wireCases {
		if c.as != "" {
			continue
		}
		t.Run(c.command, func(t *testing.T) {
			text := c.output(t)
			shapes, err := shapesOf(text)
			if err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			got, want := render(shapes), golden[c.command]
			if c.part {
				want = onlyLinesOf(want, got)
			}
			if *update && !c.part {
				golden[c.command] = got
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the shape has changed; scripts rely on it (-want +got, go test -update writes it):\n%s", diff)
			}
		})
	}
	if *update {
		writeGolden(t, golden)
	}
}

// readGolden returns the shapes of the golden file by command.
func readGolden(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(wireFile)
	if err != nil {
		t.Fatal(err)
	}
	golden := map[string]string{}
	for _, section := range strings.Split("\n"+string(text), "\n# lbctl ")[1:] {
		command, shape, _ := strings.Cut(section, "\n")
		golden[command] = strings.TrimRight(shape, "\n") + "\n"
	}
	return golden
}

func writeGolden(t *testing.T, golden map[string]string) {
	t.Helper()
	var b strings.Builder
	for _, c := range wireCases {
		if c.as == "" {
			fmt.Fprintf(&b, "# lbctl %s\n%s\n", c.command, golden[c.command])
		}
	}
	if err := os.WriteFile(wireFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// onlyLinesOf returns those lines of a text that another one has too.
func onlyLinesOf(text, other string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains("\n"+other, "\n"+line) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestWireIsWhole: every command with -o json is in the table.
func TestWireIsWhole(t *testing.T) {
	a := &cli.App{Environment: newWorld(t).Environment(t.Context())}
	known := map[string]bool{}
	for _, c := range wireCases {
		known[c.command] = true
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		name := strings.TrimPrefix(c.CommandPath(), "lbctl ")
		if c.Flags().Lookup("output") != nil && !known[name] {
			t.Errorf("lbctl %s has -o json and is not in the table", name)
		}
		delete(known, name)
		for _, below := range c.Commands() {
			walk(below)
		}
	}
	walk(a.Root(commands(a)...))
	for name := range known {
		t.Errorf("lbctl %s is in the table and has no -o json", name)
	}
}

// TestOneNameOneType reads the golden file: a name has one JSON type, in the answers of all commands.
func TestOneNameOneType(t *testing.T) {
	kinds := map[string]map[string][]string{}
	for command, shape := range readGolden(t) {
		for line := range strings.Lines(shape) {
			path, kind, _ := strings.Cut(strings.TrimSpace(line), " ")
			name := path[strings.LastIndexByte(path, '.')+1:]
			if strings.HasPrefix(name, "<") || kind == "" {
				continue // a key of a map, which is data
			}
			if list, is := strings.CutSuffix(name, "[]"); is {
				name, kind = list, "list of "+kind
			} else if kind == "list" {
				continue // what of, the next line says, unless it is empty
			}
			if kinds[name] == nil {
				kinds[name] = map[string][]string{}
			}
			kinds[name][kind] = append(kinds[name][kind], command)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if _, excused := twoTypes[name]; len(kinds[name]) > 1 != excused {
			t.Errorf("%s: %v, excused %v", name, kinds[name], excused)
		}
	}
}

// shapesOf returns the shape of each kind of JSON value in a stream: most commands print one, some a line for each packet.
// Roots must be objects, and nothing may be null.
func shapesOf(text string) (all []map[string]string, err error) {
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var v any
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		if _, ok := v.(map[string]any); !ok {
			return nil, fmt.Errorf("the root is %T, want an object", v)
		}
		shape := map[string]string{}
		if err := addShape(shape, "", v); err != nil {
			return nil, err
		}
		n := slices.IndexFunc(all, func(s map[string]string) bool { return sameRoot(s, shape) })
		if n < 0 {
			all = append(all, shape)
			continue
		}
		for path, kind := range shape {
			if before, known := all[n][path]; known && before != kind {
				return nil, fmt.Errorf("%s is %s and %s", path, before, kind)
			}
			all[n][path] = kind
		}
	}
}

// sameRoot tells whether two values are of a kind: they have a name at the root in common.
func sameRoot(a, b map[string]string) bool {
	for path := range b {
		if _, ok := a[path]; ok && strings.Count(path, ".") == 1 {
			return true
		}
	}
	return false
}

// addShape adds the paths of a value and their types. The elements of a list are taken together.
func addShape(shape map[string]string, path string, v any) error {
	kind := ""
	switch v := v.(type) {
	case nil:
		return fmt.Errorf("%s is null", path)
	case string:
		kind = "string"
	case float64:
		kind = "number"
	case bool:
		kind = "bool"
	case []any:
		kind = "list"
		for _, e := range v {
			if err := addShape(shape, path+"[]", e); err != nil {
				return err
			}
		}
	case map[string]any:
		kind = "object"
		for key, e := range v {
			name := "." + key
			if m, ok := dataKeys[path]; ok {
				name = ".<" + m + ">"
			}
			if err := addShape(shape, path+name, e); err != nil {
				return err
			}
		}
	}
	if before, known := shape[path]; known && before != kind {
		return fmt.Errorf("%s is %s and %s", path, before, kind)
	}
	if path != "" {
		shape[path] = kind
	}
	return nil
}

// render writes shapes for the golden file: a path and its type on each line, a blank line between kinds of values.
func render(all []map[string]string) string {
	var b strings.Builder
	for n, shape := range all {
		if n > 0 {
			b.WriteByte('\n')
		}
		for _, path := range slices.Sorted(maps.Keys(shape)) {
			fmt.Fprintf(&b, "%s %s\n", strings.TrimPrefix(path, "."), shape[path])
		}
	}
	return b.String()
}
