package experiment

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"lbctl/control/wire"
	"lbctl/lb"
)

// mostProblems is how many problems of a file are told.
const mostProblems = 8

// Answers are a student's predictions by their names: a float64 or a bool each.
type Answers map[string]any

// maxAnswers is the size in bytes of the largest file of predictions, twice that of the longest handout. The parser's time and
// memory grow with the square of the depth: 16 KB of brackets took it 6 s and 150 MB on a busy machine.
const maxAnswers = 8 << 10

// ReadAnswers reads the file that a handout is when it is filled in. name is the file's, for errors: each problem is told
// with its line and column. Errors wrap lb.ErrInvalid, or are those of in.
func (e Experiment) ReadAnswers(name string, in io.Reader) (Answers, error) {
	r := &answerReader{experiment: e, name: name, answers: Answers{}}
	text, err := io.ReadAll(io.LimitReader(in, maxAnswers+1))
	if err != nil {
		return nil, fmt.Errorf("read predictions: %w", err)
	}
	if len(text) > maxAnswers {
		return nil, fmt.Errorf("%s: %w: larger than %d KB: is it a handout?", name, lb.ErrInvalid, maxAnswers>>10)
	}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, r.syntax(err)
	}
	if len(tree.Docs) != 1 {
		return nil, fmt.Errorf("%s: %w: %d documents: want one, as lbctl lab describe %s --handout writes it", name, lb.ErrInvalid, len(tree.Docs), e.Name)
	}
	r.document(tree.Docs[0].Body)
	if len(r.problems) > mostProblems {
		r.problems = append(r.problems[:mostProblems], fmt.Sprintf("and %d more", len(r.problems)-mostProblems))
	}
	if len(r.problems) > 0 {
		return nil, fmt.Errorf("%w: %s", lb.ErrInvalid, strings.Join(r.problems, "; "))
	}
	return r.answers, nil
}

// answerReader reads the answers of one file.
type answerReader struct {
	experiment Experiment
	name       string
	answers    Answers
	problems   []string
}

// wrong takes note of a problem at a place.
func (r *answerReader) wrong(at *token.Token, format string, values ...any) {
	place := r.name
	if at != nil {
		place = fmt.Sprintf("%s:%d:%d", r.name, at.Position.Line, at.Position.Column)
	}
	r.problems = append(r.problems, place+": "+fmt.Sprintf(format, values...))
}

// syntax turns an error of the YAML package into ours.
func (r *answerReader) syntax(err error) error {
	var where yaml.Error
	if !errors.As(err, &where) || where.GetToken() == nil {
		return fmt.Errorf("%s: %w: %v", r.name, lb.ErrInvalid, err)
	}
	at := where.GetToken().Position
	return fmt.Errorf("%w: %s:%d:%d: %s", lb.ErrInvalid, r.name, at.Line, at.Column, where.GetMessage())
}

// document reads the two fields of the file.
func (r *answerReader) document(body ast.Node) {
	fields, ok := body.(ast.MapNode)
	if !ok {
		r.wrong(nil, "want the fields experiment and predictions, as lbctl lab describe %s --handout writes them", r.experiment.Name)
		return
	}
	named, predicted := false, false
	for it := fields.MapRange(); it.Next(); {
		key := it.Key().GetToken()
		switch key.Value {
		case "experiment":
			named = true
			if value := it.Value().GetToken(); value.Value != r.experiment.Name {
				r.wrong(value, "experiment is %q: want %s", value.Value, r.experiment.Name)
			}
		case "predictions":
			predicted = true
			r.predictions(key, it.Value())
		default:
			r.wrong(key, "unknown field %q: want experiment and predictions", key.Value)
		}
	}
	if !named {
		r.wrong(nil, "experiment is missing: want experiment: %s", r.experiment.Name)
	}
	if !predicted {
		r.wrong(nil, "predictions are missing")
	}
}

// predictions reads an answer to each prediction of the experiment.
func (r *answerReader) predictions(at *token.Token, value ast.Node) {
	list, ok := value.(ast.MapNode)
	if !ok {
		r.wrong(at, "predictions: want a line for each: %s", strings.Join(r.known(), ", "))
		return
	}
	for it := list.MapRange(); it.Next(); {
		key := it.Key().GetToken()
		i := slices.IndexFunc(r.experiment.Predictions, func(p Prediction) bool { return p.Name == key.Value })
		if i < 0 {
			r.wrong(key, "unknown prediction %q: %s", key.Value, r.suggest(key.Value))
			continue
		}
		p := r.experiment.Predictions[i]
		answer, err := p.parse(it.Value())
		if err != nil {
			r.wrong(key, "%s %v", key.Value, err)
		}
		r.answers[key.Value] = answer
	}
	for _, name := range r.known() {
		if _, ok := r.answers[name]; !ok {
			r.wrong(at, "%s is missing", name)
		}
	}
}

func (r *answerReader) known() (names []string) {
	for _, p := range r.experiment.Predictions {
		names = append(names, p.Name)
	}
	return names
}

// suggest names the prediction that is nearest to an unknown one, or all.
func (r *answerReader) suggest(name string) string {
	if near, ok := wire.Nearest(name, r.known()); ok {
		return "did you mean " + near + "?"
	}
	return "want " + strings.Join(r.known(), ", ")
}

// want says in words what answers a prediction.
func (p Prediction) want() string {
	switch {
	case p.Kind == YesNo:
		return "yes or no"
	case p.Unit != "":
		return "a number (" + p.Unit + ")"
	}
	return "a number"
}

// parse reads one answer.
func (p Prediction) parse(value ast.Node) (any, error) {
	scalar, ok := value.(ast.ScalarNode)
	if _, none := value.(*ast.NullNode); !ok || none {
		return nil, fmt.Errorf("has no answer: want %s", p.want())
	}
	text := scalar.GetToken().Value
	if p.Kind == YesNo {
		switch strings.ToLower(text) {
		case "yes", "true":
			return true, nil
		case "no", "false":
			return false, nil
		}
		return nil, fmt.Errorf("is %q: want %s", text, p.want())
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, fmt.Errorf("is %q: want %s", text, p.want())
	}
	return v, nil
}
