package experiment

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// handoutWidth is the width of the text of a handout, in characters.
const handoutWidth = 88

// WriteHandout writes the experiment as a student gets it: the question and how it is measured, without the answer, and the
// questions of the predictions. It is a YAML file to be filled in, which ReadAnswers reads.
func (e Experiment) WriteHandout(w io.Writer) error {
	var b strings.Builder
	comment(&b, "# ", "", fmt.Sprintf("%s (problem %s of the problem set)", e.Name, e.Problem))
	comment(&b, "#\n# ", "", "The question: "+e.Question)
	comment(&b, "#\n# ", "", "The experiment: "+e.Method)
	comment(&b, "#\n# ", "", "Its parameters, unless you set others (--set, --quick, --full):")
	for _, p := range e.Trial().Parameters().List() {
		name := fmt.Sprintf("    %-20s %-10s ", p.Name, p.Default)
		comment(&b, "# "+name, strings.Repeat(" ", len(name)), p.Help)
	}
	comment(&b, "#\n# ", "", fmt.Sprintf("Answer the questions below before you run it. Write each answer behind its colon, then: lbctl lab run %s --predict %s.yaml", e.Name, e.Name))
	fmt.Fprintf(&b, "\nexperiment: %s\npredictions:\n", e.Name)
	for _, p := range e.Predictions {
		comment(&b, "\n  # ", "", p.Question)
		answer := p.want()
		if rule := p.Rule(); rule != "" {
			answer += ". Right is: " + rule
		}
		comment(&b, "  # ", "  ", "Answer: "+answer+".")
		fmt.Fprintf(&b, "  %s:\n", p.Name)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write handout: %w", err)
	}
	return nil
}

// comment writes a text as lines of a comment: the first begins with first, what follows is indented.
func comment(b *strings.Builder, first, indent, text string) {
	last := first[strings.LastIndex(first, "\n")+1:]
	next := last[:strings.Index(last, "#")+2] + indent
	line, blank := first, true
	used := len(last)
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		if !blank && used+1+n > handoutWidth {
			b.WriteString(line + "\n")
			line, used, blank = next, len(next), true
		}
		if !blank {
			line, used = line+" ", used+1
		}
		line, used, blank = line+word, used+n, false
	}
	b.WriteString(line + "\n")
}
