package config_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"lbctl/control/config"
	"lbctl/lb"
)

// hostile are what a file of a few hundred kilobytes may repeat, and what is said about it.
var hostile = []struct{ name, before, repeated, what string }{
	{"brackets", "", "[", "more than 32 levels"},
	{"brackets on lines", "", "[\n", "more than 32 levels"},
	{"braces", "", "{a: ", "more than 32 levels"},
	{"pairs in brackets", "", "[a: ", "more than 32 levels"},
	{"hyphens", "", "- ", "more than 32 levels"},
	{"hyphens in brackets", "[", "- ", "inside brackets"},
	{"keys of no name", "", "? ", "more than 32 levels"},
	{"closing brackets", "", "]", "corresponding"},
	{"anchors", "", "&a ", ""},
	{"tags", "", "!a ", ""},
	{"aliases", "", "*a ", ""},
	{"colons", "", ": ", ""},
	{"quotes", "", "' ", ""},
	{"text of lines", "", "|\n", ""},
	{"documents", "", "---\n", "empty"},
	{"comments", "", "# a\n", "empty"},
	{"elements of the wrong type", "services:\n", "- [a, {b: c}]\n", "services[0]: a list (and"},
	{"elements with unknown fields", "services:\n", "- {a: b, c: d}\n", "services[0].a: unknown field (and"},
	{"elements without fields", "services:\n", "- {}\n", "services[0].name: missing (and"},
	{"anchors and aliases", "services:\n", "- &a [*a, *a]\n", "services[0]: an anchor, alias or tag (and"},
}

// TestHostileFilesCostInProportion parses each at two sizes: what it costs grows with the size, not with its square.
func TestHostileFilesCostInProportion(t *testing.T) {
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			cost := func(size int) uint64 {
				text := c.before + strings.Repeat(c.repeated, size/len(c.repeated)) + "\n"
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, err := resolve(text)
				runtime.ReadMemStats(&after)
				checkRefused(t, err, c.what)
				return after.TotalAlloc - before.TotalAlloc
			}
			small, large := cost(10_000), cost(80_000)
			if per := float64(large) / 80_000; large > 12*small || per > 4096 {
				t.Errorf("%d bytes for 10 kB, %d for 80 kB", small, large)
			}
		})
	}
}

func checkRefused(t *testing.T, err error, what string) {
	t.Helper()
	var e *config.Error
	if !errors.As(err, &e) || !errors.Is(err, lb.ErrInvalid) {
		t.Fatalf("error %v, want a *config.Error", err)
	}
	if text := e.Error(); !strings.Contains(text, what) || len(text)+len(e.Hint()) > 1000 || strings.Contains(text, "\n") {
		t.Errorf("says %.300q, want %q, short and in a line", text, what)
	}
	if len(e.Problems) > 100 {
		t.Errorf("%d problems are listed", len(e.Problems))
	}
}

// TestProblemsAreCounted: a hundred are listed, and the others counted, whoever finds them.
func TestProblemsAreCounted(t *testing.T) {
	const n = 250
	for name, element := range map[string]string{
		"of the shape":      "  - {name: web, vip: 7, replicas: []}\n",
		"of the values":     "  - {name: web%d, vip: \"192.0.2.1:0\", replicas: []}\n",
		"beside each other": "  - {name: web%d, vip: \"192.0.2.1:80\", replicas: []}\n",
	} {
		var text strings.Builder
		text.WriteString("services:\n")
		for i := range n {
			line := element
			if strings.Contains(element, "%d") {
				line = fmt.Sprintf(element, i)
			}
			text.WriteString(line)
		}
		_, err := resolve(text.String())
		var e *config.Error
		if !errors.As(err, &e) || len(e.Problems) != 100 || len(e.Problems)+e.More < n-1 {
			t.Errorf("%s: %d listed and %d more of %d: %v", name, len(e.Problems), e.More, n, err)
			continue
		}
		if want := fmt.Sprintf("(and %d more problems)", 99+e.More); !strings.HasSuffix(e.Error(), want) {
			t.Errorf("%s: %v, want %s", name, e, want)
		}
	}
}

// TestKeysOfAMapping: too many fields of one mapping are refused, as many elements are not.
func TestKeysOfAMapping(t *testing.T) {
	var block, flow strings.Builder
	flow.WriteString("{")
	for i := range 1000 {
		fmt.Fprintf(&block, "k%d: v\n", i)
		fmt.Fprintf(&flow, "k%d: v, ", i)
	}
	for _, text := range []string{block.String(), flow.String() + "}\n"} {
		_, err := resolve(text)
		checkRefused(t, err, "a mapping of more than 200 fields")
	}
	many := "services:\n"
	for i := range 500 {
		many += fmt.Sprintf("  - name: s%d\n    vip: 192.0.2.1:%d\n    replicas: []\n", i, i+1)
	}
	if i, err := resolve(many); err != nil || len(i.Services) != 500 {
		t.Errorf("%d services, %v", len(i.Services), err)
	}
}

// TestReadEndsWithItsContext: one interrupt ends a read, also of a pipe that nobody writes to.
func TestReadEndsWithItsContext(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := config.Read(ctx, "-", r); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestBytesAroundTheText: what editors put before and after a text means nothing, and null is no value.
func TestBytesAroundTheText(t *testing.T) {
	for _, text := range []string{
		"\uFEFF" + service + replicas,
		strings.ReplaceAll(service+replicas, "\n", "\r\n"),
		"---\n" + service + replicas,
		service + replicas + "\n\n# end\n",
	} {
		if i, err := resolve(text); err != nil || len(i.Services) != 1 {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, what := range map[string]string{
		"null\n":                                "has no value",
		"~\n":                                   "has no value",
		"services: null\n":                      "services: has no value",
		"services: [null]\n":                    "services[0]: has no value",
		"services: []\ninterfaces: ~\n":         "interfaces: has no value",
		service + "    seed: null\n" + replicas: "services[0].seed: has no value",
		"\uFEFF":                                "is empty",
		"\uFEFF\uFEFFservices: []\n":            "unknown field",
	} {
		_, err := resolve(text)
		checkRefused(t, err, what)
	}
}

// TestIntegers: as the core schema of YAML 1.2 has them.
func TestIntegers(t *testing.T) {
	for text, want := range map[string]uint32{
		"10": 10, "010": 10, "08": 8, "0o10": 8, "0x1F": 31, "+7": 7, "0": 0, "-0": 0, "4294967295": 1<<32 - 1, "0000000000000000000000001": 1,
	} {
		i, err := resolve(service + "    seed: " + text + "\n" + replicas)
		if err != nil || i.Services[0].Seed != want {
			t.Errorf("seed %s: %v, want %d", text, err, want)
		}
	}
	for _, text := range []string{"1_000", "0b11", "0o8", "0O7", "0x", "0xg", "-0x1", "1e3", "1.0", ".5", "1,000", "٣", "true", ".inf", ".nan", "18446744073709551616"} {
		_, err := resolve(service + "    seed: " + text + "\n" + replicas)
		checkRefused(t, err, "is of the wrong type")
	}
}

// TestFilesAreBounded: what is too large is refused before it is parsed.
func TestFilesAreBounded(t *testing.T) {
	for what, text := range map[string]string{
		"is larger than 32 MB":        strings.Repeat("#", 32<<20) + "\n",
		"has more than 8388608 marks": strings.Repeat("[", 9<<20) + "\n",
	} {
		_, err := config.Parse("f.yaml", []byte(text))
		checkRefused(t, err, what)
	}
}
