package experiment

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"lbctl/lb"
)

// asking is an experiment with a prediction of each kind.
func asking() Experiment {
	return Experiment{
		Name: "counting", Problem: "0", Question: "How many?", Claim: "Forty-two.", Method: strings.Repeat("They are counted. ", 20),
		Predictions: []Prediction{
			{Name: "moved", Question: "How many?", Unit: "connections", Factor: 2},
			{Name: "same", Question: "The same?", Kind: YesNo},
		},
		Design: func() Design { return &sample{} },
	}
}

// filled is the handout with answers.
func filled(t *testing.T, moved, same string) string {
	t.Helper()
	var b strings.Builder
	if err := asking().WriteHandout(&b); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("  moved:", "  moved: "+moved, "  same:", "  same: "+same).Replace(b.String())
}

// TestHandout: it is a file of predictions that has no answer in it, and is read when it is filled in.
func TestHandout(t *testing.T) {
	text := filled(t, "1.5e2", "No")
	if strings.Contains(text, "Forty-two") || !strings.Contains(text, "How many?") || !strings.Contains(text, "within a factor of 2") || !strings.Contains(text, "the number of replicas") {
		t.Errorf("handout:\n%s", text)
	}
	for line := range strings.Lines(text) {
		if utf8.RuneCountInString(line) > handoutWidth+1 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
	got, err := asking().ReadAnswers("h.yaml", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Answers{"moved": 150.0, "same": false}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

// TestReadAnswersRefuses: every problem is named with its place.
func TestReadAnswersRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ text, says string }{
		"unfilled":         {filled(t, "", ""), "moved has no answer: want a number (connections); "},
		"no number":        {"experiment: counting\npredictions:\n  moved: many\n  same: yes\n", `h.yaml:3:3: moved is "many": want a number (connections)`},
		"not finite":       {"experiment: counting\npredictions:\n  moved: .inf\n  same: yes\n", `h.yaml:3:3: moved is ".inf"`},
		"nan":              {"experiment: counting\npredictions:\n  moved: NaN\n  same: yes\n", `h.yaml:3:3: moved is "NaN"`},
		"neither":          {"experiment: counting\npredictions:\n  moved: 1\n  same: perhaps\n", `h.yaml:4:3: same is "perhaps": want yes or no`},
		"list":             {"experiment: counting\npredictions:\n  moved: [1]\n  same: yes\n", "h.yaml:3:3: moved has no answer"},
		"missing":          {"experiment: counting\npredictions:\n  moved: 1\n", "h.yaml:2:1: same is missing"},
		"unknown":          {"experiment: counting\npredictions:\n  moved: 1\n  sane: yes\n  same: yes\n", `h.yaml:4:3: unknown prediction "sane": did you mean same?`},
		"twice":            {"experiment: counting\npredictions:\n  same: yes\n  moved: 1\n  same: yes\n", "h.yaml:5:3: "},
		"unknown field":    {"experiment: counting\nseed: 1\npredictions:\n  moved: 1\n  same: yes\n", `h.yaml:2:1: unknown field "seed"`},
		"of another":       {"experiment: spread\npredictions:\n  moved: 1\n  same: yes\n", `h.yaml:1:13: experiment is "spread": want counting`},
		"nameless":         {"predictions:\n  moved: 1\n  same: yes\n", "experiment is missing"},
		"no predictions":   {"experiment: counting\n", "predictions are missing"},
		"predictions a":    {"experiment: counting\npredictions: 7\n", "h.yaml:2:1: predictions: want a line for each: moved, same"},
		"empty":            {"", "want the fields experiment and predictions"},
		"only a comment":   {"# hello\n", "want the fields"},
		"two documents":    {"experiment: counting\n---\nexperiment: counting\n", "2 documents"},
		"half a document":  {"experiment: [counting\n", "h.yaml:1:"},
		"tab":              {"experiment: counting\n\tpredictions:\n", "h.yaml:2:"},
		"large":            {strings.Repeat("#\n", maxAnswers), "larger than 8 KB"},
		"deep":             {strings.Repeat("[", 4000), "h.yaml"},
		"deep in lists":    {strings.Repeat("- ", 4000), "want the fields"},
		"not text":         {"\x00\xff\xfe", "h.yaml"},
		"anchor and alias": {"experiment: counting\npredictions:\n  moved: &a 1\n  same: *a\n", "h.yaml:3:3: moved is"},
	} {
		t.Run(name, func(t *testing.T) {
			answers, err := asking().ReadAnswers("h.yaml", strings.NewReader(tt.text))
			if !errors.Is(err, lb.ErrInvalid) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, %v; want ErrInvalid saying %q in one line", answers, err, tt.says)
			}
		})
	}
}
