package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/plot"
)

// TestContract holds report.json to the keys that scripts rely on (DESIGN section 7).
func TestContract(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, Result{Experiment: "spread"}, nil); err != nil {
		t.Fatal(err)
	}
	var doc map[string]json.RawMessage
	read, err := os.ReadFile(filepath.Join(dir, jsonFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(read, &doc); err != nil {
		t.Fatal(err)
	}
	want := []string{"checks", "controls", "environment", "experiment", "figures", "parameters", "pass", "problem", "quantities", "seed", "tables", "verdict"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(doc))); diff != "" {
		t.Errorf("keys of report.json (-want +got):\n%s", diff)
	}
	for _, list := range []string{"checks", "controls", "quantities", "tables", "figures"} {
		if string(doc[list]) != "[]" {
			t.Errorf("%s is %s when there are none, want []", list, doc[list])
		}
	}
}

// TestRoundTrip checks that report.html can be made anew from what Write left, byte for byte.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, sample(), drawings(t)); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(filepath.Join(dir, htmlFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, htmlFile)); err != nil {
		t.Fatal(err)
	}
	if err := Render(dir); err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(filepath.Join(dir, htmlFile))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(first), string(again)); diff != "" {
		t.Errorf("rendered anew, the page differs:\n%s", diff)
	}
	r, figures, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if r.Seed != sample().Seed {
		t.Errorf("seed came back as %d, want %d", r.Seed, sample().Seed)
	}
	if diff := cmp.Diff(drawings(t), figures); diff != "" {
		t.Errorf("figures came back changed:\n%s", diff)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2+len(figures) {
		t.Errorf("%d files in the report's folder, want %d: temporary ones left?", len(entries), 2+len(figures))
	}
}

// TestPageIsSelfContained checks that the page asks for nothing: no script, no
// stylesheet, no image, no font from anywhere.
func TestPageIsSelfContained(t *testing.T) {
	html, err := page(sample(), drawings(t))
	if err != nil {
		t.Fatal(err)
	}
	fetches := regexp.MustCompile(`(?i)<script|<link|<img|<iframe|@import|url\(|\bsrc=|\bhref=|\bon[a-z]+=`)
	if found := fetches.FindAll(html, -1); found != nil {
		t.Errorf("the page is not self-contained: %q", found)
	}
	text := string(html)
	for _, want := range []string{"flow-replica-affinity", "Is it &lt;one&gt;?", "123,456", "18446744073709551615", "softnic", "<svg", "prefers-color-scheme",
		"Does it &lt;spread&gt;?", "It does.", "By counting.", "0 of 4,000 moved.",
		"What share moves?", "75 %", "52.25 % (49.5 to 55)", "within 5 %", ">yes<", "Undetermined: the machine was not quiet.",
		"0.961 to 0.984", "By sign test of 20 samples, 2 noisy ones left out, false alarm 1 in 10,000; 4 replicas, 2 CPUs."} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestFiguresAreXML checks that figures are well formed, carry their caption, and have
// no black or white that would vanish on the other background.
func TestFiguresAreXML(t *testing.T) {
	for _, f := range drawings(t) {
		decode := xml.NewDecoder(strings.NewReader(string(f.SVG)))
		for {
			_, err := decode.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", f.File(), err)
			}
		}
		if fixed := regexp.MustCompile(`#000000|#ffffff|#FFFFFF|<image`).FindString(string(f.SVG)); fixed != "" {
			t.Errorf("%s holds %s", f.File(), fixed)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, doc := range map[string]string{
		"not json":       `{`,
		"another file":   `{"name": "x"}`,
		"missing figure": `{"experiment": "x", "figures": ["none.svg"]}`,
		"figure outside": `{"experiment": "x", "figures": ["../../etc/passwd"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, jsonFile), []byte(doc), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, _, err := Load(dir); err == nil {
				t.Error("loaded")
			}
		})
	}
	if _, _, err := Load(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty folder: %v, want fs.ErrNotExist", err)
	}
}

func TestDrawRefuses(t *testing.T) {
	if _, err := HeatMap("h", "", "", Matrix{Rows: []string{"0"}, Columns: []string{"0"}}); err == nil {
		t.Error("heat map of a matrix without counts was drawn")
	}
	if _, err := Shares("s", "", ""); err == nil {
		t.Error("shares without a panel were drawn")
	}
	if _, err := Hops("h", "", "", Hop{}, Lane{}); err == nil {
		t.Error("a lane without stations was drawn")
	}
	if _, err := Timeline("t", "", "", Axis{}, Track{Moments: []Moment{{At: 1}}}); err == nil {
		t.Error("a timeline of no time was drawn")
	}
	if _, err := Lines("l", "", "", Chart{Series: []Series{{Points: []Point{{Y: math.NaN()}}}}}); err == nil {
		t.Error("a chart without a point was drawn")
	}
	if _, err := Histogram("h", "", "", Axis{}); err == nil {
		t.Error("a histogram of nothing was drawn")
	}
	if _, err := Histogram("h", "", "", Axis{}, Distribution{Edges: []float64{1}, Counts: []float64{1}}); err == nil {
		t.Error("a histogram of one edge was drawn")
	}
}

// TestAxes: bounds hold all values; on a logarithmic axis what is not above 0 has no place.
func TestAxes(t *testing.T) {
	for _, tt := range []struct {
		axis      Axis
		values    []float64
		zero      bool
		low, high float64
	}{
		{Axis{}, []float64{3, 8}, false, 3, 8},
		{Axis{}, []float64{3, 8}, true, 0, 8.4},
		{Axis{}, []float64{-3, 8}, true, -3, 8},
		{Axis{}, []float64{5}, false, 4.5, 5.5},
		{Axis{Min: 1, Max: 2}, []float64{0, 9}, true, 1, 2},
		{Axis{Log: true}, []float64{-1, 0, 64, 1500}, true, 50, 2000},
		{Axis{Log: true}, []float64{1000}, false, 500, 2000},
		{Axis{Log: true}, []float64{0, 0}, true, 0, 1},
		{Axis{Log: true, Max: 5}, []float64{0.3, 2}, false, 0.2, 2},
	} {
		got := tt.axis.over(tt.values, tt.zero)
		if math.Abs(got.Min-tt.low) > 1e-9 || math.Abs(got.Max-tt.high) > 1e-9 {
			t.Errorf("%+v over %v is %v to %v, want %v to %v", tt.axis, tt.values, got.Min, got.Max, tt.low, tt.high)
		}
	}
	for _, tt := range []struct {
		ticks     plot.Ticker
		low, high float64
		want      string
	}{
		{decades{}, 50, 2000, "50 100 200 500 1,000 2,000"},
		{decades{}, 2, 200_000, "10 100 1,000 10,000 100,000"},
		{even{}, 0.1, 1.5, "0.2 0.4 0.6 0.8 1 1.2 1.4"},
		{even{}, 0, 4_200_000, "0 1,000,000 2,000,000 3,000,000 4,000,000"},
		{even{}, -0.5, 0.5, "-0.4 -0.2 0 0.2 0.4"},
	} {
		var labels []string
		for _, tick := range tt.ticks.Ticks(tt.low, tt.high) {
			if tick.Label != "" {
				labels = append(labels, tick.Label)
			}
		}
		if got := strings.Join(labels, " "); got != tt.want {
			t.Errorf("ticks of %v to %v: %s, want %s", tt.low, tt.high, got, tt.want)
		}
	}
}

func TestBin(t *testing.T) {
	d := Bin("x", []float64{0, 1, 1, 9, 10}, 5, false)
	if diff := cmp.Diff([]float64{3, 0, 0, 0, 2}, d.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if d := Bin("log", []float64{1, 10, 100}, 2, true); d.Counts[0] != 1 || d.Counts[1] != 2 || math.Abs(d.Edges[1]-10) > 1e-9 {
		t.Errorf("%+v", d)
	}
	if d := Bin("equal", []float64{4, 4}, 3, false); d.Counts[0] != 2 {
		t.Errorf("%+v", d)
	}
}

// TestVerdicts: what failed weighs more than what is undetermined, and that more than what passed.
func TestVerdicts(t *testing.T) {
	good, bad, open := Check{Pass: true}, Check{}, Check{Verdict: Undetermined}
	for _, tt := range []struct {
		want  Verdict
		lists [][]Check
	}{
		{Pass, nil}, {Pass, [][]Check{{good}, nil, {good}}}, {Fail, [][]Check{{good, bad}}}, {Fail, [][]Check{{open}, {good, bad}}},
		{Undetermined, [][]Check{{good, open}}}, {Fail, [][]Check{{bad}, {open}}},
	} {
		if got := Sum(tt.lists...); got != tt.want || Passed(tt.lists...) != (tt.want == Pass) {
			t.Errorf("%v is %s, want %s", tt.lists, got, tt.want)
		}
	}
	r := Result{Checks: []Check{good, open}, Controls: []Check{bad}}
	if r.Outcome() != Fail || r.Count(Undetermined) != 1 || r.Count(Fail) != 1 {
		t.Errorf("%s", r.Outcome())
	}
}

// TestUndetermined: the page and the summary say so, and why.
func TestUndetermined(t *testing.T) {
	r := sample()
	r.Pass, r.Checks[2].Pass, r.Checks[2].Verdict = false, false, Undetermined
	r.Checks[2].Estimate.Why = "the machine was not quiet"
	html, err := page(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := Summary(&text, r, "out", false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<b>Undetermined.</b> 1 of 3 checks", `aria-label="undetermined">?<`, "Undetermined: the machine was not quiet."} {
		if !strings.Contains(string(html), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, want := range []string{"? of-direct", "0.973 (0.961 to 0.984)", "undetermined: the machine was not quiet", "\nundetermined  out"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the summary lacks %q:\n%s", want, &text)
		}
	}
}

func TestSummary(t *testing.T) {
	var plain, coloured strings.Builder
	r := sample()
	r.Pass, r.Checks[0].Pass = false, false
	if err := Summary(&plain, r, "out", false); err != nil {
		t.Fatal(err)
	}
	if err := Summary(&coloured, r, "out", true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"✗ flow-replica-affinity", "0 of 4,000 connections", "✓ spray", "FAIL", "  Does it <spread>?\n  0 of 4,000 moved.\n",
		"✗ moved             75 %  52.25 % (49.5 to 55)\n", "✓ same               yes  yes\n", "? idle                 3  not measured\n", filepath.Join("out", htmlFile)} {
		if !strings.Contains(plain.String(), want) {
			t.Errorf("summary lacks %q:\n%s", want, &plain)
		}
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Error("colours where none are wanted")
	}
	if bare := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(coloured.String(), ""); bare != plain.String() {
		t.Errorf("the coloured summary says something else:\n%s", bare)
	}
}

func TestColourOnlyOnATerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if Colour(f, os.Getenv) {
		t.Error("a file is coloured")
	}
}

func TestCell(t *testing.T) {
	for _, tt := range []struct {
		value any
		want  string
	}{
		{nil, ""}, {"x", "x"}, {0, "0"}, {-1234567, "-1,234,567"}, {uint64(999), "999"}, {1000, "1,000"},
		{0.123456, "0.1235"}, {12345.6, "12,346"}, {-1000.2, "-1,000"}, {1e-9, "1e-09"}, {64.0, "64"}, {json.Number("16000"), "16,000"}, {json.Number("0.5"), "0.5"},
		{json.Number("64.0"), "64"}, {true, "true"},
	} {
		if got := Cell(tt.value); got != tt.want {
			t.Errorf("Cell(%v) = %q, want %q", tt.value, got, tt.want)
		}
	}
}
