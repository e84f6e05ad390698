package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// where is what the output says first: where it was measured.
const where = "processor: AMD EPYC, family 25 model 1\ncache: 512 KiB\nkernel: 6.18.1\ndate: 2026-12-01\ncores: 2\nvirtual: true\nload: 0.10\n"

// output is what the benchmark writes: of every scenario of the tables a result of each of three rounds.
func output() (lines []string) {
	lines = []string{where}
	for _, least := range []int{21, 40, 20} {
		for _, t := range tables() {
			for _, r := range t.rows {
				for _, s := range r.scenarios {
					if s != "" {
						lines = append(lines, fmt.Sprintf("BenchmarkDatapath/%s-2   1   0 ns/op   %d.4 above-swap-ns/packet   33.0 ns/packet\n", s, least))
					}
				}
			}
		}
		lines = append(lines, "PASS\n", "ok  \tlbctl/lb/datapath\t4.2s\n")
	}
	return lines
}

// written returns the page after a run with that output.
func written(t *testing.T, page string, output []string) (string, error) {
	t.Helper()
	o := options{from: filepath.Join(t.TempDir(), "output"), page: filepath.Join(t.TempDir(), "page")}
	for path, text := range map[string]string{o.from: strings.Join(output, ""), o.page: page} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	failed := o.write()
	after, err := os.ReadFile(o.page)
	if err != nil {
		t.Fatal(err)
	}
	return string(after), failed
}

const page = "# Before\n" + begin + "Replaced.\n" + end + "After.\n"

func TestBlock(t *testing.T) {
	got, err := written(t, page, output())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Before\n" + begin + "AMD EPYC, family 25 model 1, 512 KiB of level-2 cache a core, 2 cores of a virtual machine, Linux 6.18.1, 1 December 2026, load average 0.10 before. ",
		"the median of 3 rounds",
		"| 1 service of 4 replicas, modulo | one flow | 65,536 flows | a million |\n|---|---|---|---|\n| IPv4 TCP | 21 (20-40) | 21 (20-40) | 21 (20-40) |\n| ... a SYN |  | 21 (20-40) |  |\n",
		"| services x replicas, scheduler | 1 x 100, maglev | ",
		"|\n" + end + "After.\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "Replaced") {
		t.Error("the old block is still there")
	}
	if again, err := written(t, got, output()); err != nil || again != got {
		t.Errorf("written twice, it is another one: %v", err)
	}
}

// What is wrong with an output or a page is said, and the page stays.
func TestRefusals(t *testing.T) {
	edit := func(from, to string) []string {
		return []string{strings.ReplaceAll(strings.Join(output(), ""), from, to)}
	}
	for want, c := range map[string]struct {
		page   string
		output []string
	}{
		"1x4-modulo-tcp-v4-hit was not measured, of the row \"IPv4 TCP\"": {page, edit("BenchmarkDatapath/1x4-modulo-tcp-v4-hit-2 ", "Skipped ")},
		"1x4-modulo-udp-v9 was measured and is in no row":                 {page, edit("1x4-modulo-udp-v4-2 ", "1x4-modulo-udp-v4-2 1 4 above-swap-ns/packet\nBenchmarkDatapath/1x4-modulo-udp-v9-2 ")},
		"1x4-modulo-tcp-v4-hit has 2 results, others 3":                   {page, slices.Delete(output(), 1, 2)},
		"none of a packet":                  {page, append(output(), "BenchmarkSweep-2 1 9 ns/op\n")},
		"has no above-swap-ns/packet":       {page, edit("above-swap-ns", "above-swap-s")},
		"a line that is cut off":            {page, append(output(), "BenchmarkDatapath/1x4 1 4\n")},
		"no line kernel":                    {page, edit("kernel: 6.18.1\n", "")},
		"line date":                         {page, edit("2026-12-01", "yesterday")},
		"no result of BenchmarkDatapath":    {page, []string{"PASS\n"}},
		"put both where the table shall be": {"# Before\n", output()},
	} {
		after, err := written(t, c.page, c.output)
		if after != c.page {
			t.Errorf("%s: the page has changed", want)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// What is written of this machine is read back.
func TestMachine(t *testing.T) {
	here, err := thisMachine()
	if err != nil {
		t.Fatal(err)
	}
	m, err := read("made here", strings.NewReader(here.lines()+strings.Join(output()[1:], "")))
	if err != nil {
		t.Fatal(err)
	}
	if m.machine.String() != here.String() || here.kernel == "" || here.processor == "" || here.cores == 0 {
		t.Errorf("read back as %v, want %v", m.machine, here)
	}
	if got := processor("cpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC\n"); got != "AMD EPYC, family 25 model 1" {
		t.Errorf("processor %q", got)
	}
}

// Beside other work nothing is measured.
func TestBusy(t *testing.T) {
	if _, _, err := (options{load: -1}).measured(); err == nil || !strings.Contains(err.Error(), "the load average is") {
		t.Errorf("error %v, want one of the load average", err)
	}
}

// Every scenario of the benchmark has a row, and no row is of another: else it would turn out after the measurement.
func TestRowsAreTheScenarios(t *testing.T) {
	source, err := os.ReadFile("../../lb/datapath/scenario_test.go")
	if err != nil {
		t.Fatal(err)
	}
	names, all := map[string]bool{}, regexp.MustCompile(`\{name: "([a-z0-9-]+)"`).FindAllSubmatch(source, -1)
	for _, m := range all {
		names[string(m[1])] = false
	}
	for _, table := range tables() {
		for _, r := range table.rows {
			for _, s := range r.scenarios {
				if parts := strings.SplitN(s, "-", 3); s != "" {
					if _, is := names[parts[2]]; !is {
						t.Errorf("row %q: the benchmark has no scenario %s", r.packet, s)
					}
					names[parts[2]] = true
				}
			}
		}
	}
	for name, shown := range names {
		if !shown {
			t.Errorf("scenario %s has no row in rows.go", name)
		}
	}
	if len(names) < 40 {
		t.Errorf("%d scenarios found in scenario_test.go: read it otherwise", len(names))
	}
}
