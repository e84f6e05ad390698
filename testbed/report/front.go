package report

import (
	"bytes"
	"fmt"
	"html/template"
	"path/filepath"
	"slices"
)

// FrontFile is the name of the front page's file in the folder of many reports.
const FrontFile = "index.html"

// Front is the front page over many reports: problems, each with the runs that answer it.
type Front struct {
	Title    string
	Problems []FrontProblem
}

// FrontProblem is one problem: its questions with the textbook's answers, and what was measured.
type FrontProblem struct {
	Number int
	Title  string
	Parts  []FrontPart
	Runs   []FrontRun
}

// FrontPart is one question with the textbook's answer. Letter may be empty.
type FrontPart struct{ Letter, Question, Answer string }

// FrontRun is one experiment of a problem: its report, or why there is none.
type FrontRun struct {
	Experiment, Question string
	// Result is nil if the experiment was not run, or could not be: Why says so, "" of the first.
	Result *Result
	Why    string
	// Folder is that of the report, relative to the front page's.
	Folder string
}

// WriteFront writes the front page into dir, which is there.
func WriteFront(dir string, f Front) error {
	css, err := files.ReadFile("page.css")
	if err != nil {
		return fmt.Errorf("read style of report: %w", err)
	}
	t, err := template.New("front.html.tmpl").Funcs(template.FuncMap{"cell": Cell}).ParseFS(files, "front.html.tmpl")
	if err != nil {
		return fmt.Errorf("parse template of front page: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, map[string]any{"Front": f, "CSS": template.CSS(css)}); err != nil {
		return fmt.Errorf("render front page: %w", err)
	}
	return writeFile(filepath.Join(dir, FrontFile), b.Bytes())
}

// Link is the address of the report, relative to the front page.
func (r FrontRun) Link() string { return filepath.ToSlash(filepath.Join(r.Folder, htmlFile)) }

// Control is the control that the front page tells: the first, nil if there is none.
func (r FrontRun) Control() *Check {
	if r.Result == nil || len(r.Result.Controls) == 0 {
		return nil
	}
	return &r.Result.Controls[0]
}

// Evidence is the headline, or how many checks hold where the experiment has none.
func (r FrontRun) Evidence() string {
	if r.Result.Headline != "" {
		return r.Result.Headline
	}
	passed := 0
	for _, c := range r.Result.Checks {
		if c.Outcome() == Pass {
			passed++
		}
	}
	return fmt.Sprintf("%d of %d checks hold.", passed, len(r.Result.Checks))
}

// runs returns the runs of all problems, each experiment once.
func (f Front) runs() (all []FrontRun) {
	for _, p := range f.Problems {
		for _, r := range p.Runs {
			if !slices.ContainsFunc(all, func(o FrontRun) bool { return o.Experiment == r.Experiment }) {
				all = append(all, r)
			}
		}
	}
	return all
}

// Summary says how many experiments came out how: "12 passed, 1 undetermined, 1 not run".
func (f Front) Summary() string {
	counts := map[string]int{}
	for _, r := range f.runs() {
		counts[r.state()]++
	}
	text := ""
	for _, s := range []string{"passed", "failed", "undetermined", "could not run", "not run"} {
		if counts[s] > 0 || s == "passed" {
			if text != "" {
				text += ", "
			}
			text += fmt.Sprintf("%d %s", counts[s], s)
		}
	}
	return text
}

// state is how a run came out, in words.
func (r FrontRun) state() string {
	switch {
	case r.Why != "":
		return "could not run"
	case r.Result == nil:
		return "not run"
	}
	return map[Verdict]string{Pass: "passed", Fail: "failed", Undetermined: "undetermined"}[r.Result.Outcome()]
}

// State is how the run came out, in words that begin a sentence.
func (r FrontRun) State() string {
	s := r.state()
	return string(s[0]-'a'+'A') + s[1:]
}

// Class is the verdict as a class of the style sheet.
func (r FrontRun) Class() string {
	if r.Result == nil {
		return "none"
	}
	return string(r.Result.Outcome())
}

// Machines are the environments of the runs, each once: the kernel, the cores, the commit.
func (f Front) Machines() (list []string) {
	for _, r := range f.runs() {
		if r.Result == nil {
			continue
		}
		e := r.Result.Environment
		text := fmt.Sprintf("%s, %s, %d cores, lbctl %.12s", e.Kernel, e.CPU, e.CPUs, e.Commit)
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}
