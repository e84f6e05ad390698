package identify

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"

	"lbctl/cmd/cli"
	"lbctl/rss/balance"
	"lbctl/rss/identify"
	"lbctl/testbed/report"
)

// write writes the evidence as a report.
func (f *flags) write(name string, said *answer, r identify.Result) error {
	var figures []report.Figure
	if r.Model != nil {
		agree, err := agreeFigure(r, chance(said, f.queues))
		if err != nil {
			return err
		}
		figures = append(figures, agree)
	}
	if r.Model != nil && r.Model.Function == "toeplitz" {
		bits, err := keyFigure(r.Model)
		if err != nil {
			return err
		}
		figures = append(figures, bits)
	}
	return cli.WriteReport(f.out, "observations of "+filepath.Base(name), report.Result{
		Experiment: "identify " + filepath.Base(name), Seed: f.seed,
		Parameters: map[string]any{"observations": name, "key": f.keys, "key-length": f.length, "queues": f.queues, "table": f.table, "fill": f.fill},
		Checks:     checks(said, r), Tables: tables(said, r),
	}, figures...)
}

// chance is the probability that an observation agrees with a wrong model.
func chance(said *answer, queues int) float64 {
	if said.By == "hash" {
		return 1.0 / (1 << 32)
	}
	return 1 / float64(max(queues, said.queues))
}

// checks tell whether the NIC was identified, and why not.
func checks(said *answer, r identify.Result) []report.Check {
	evidence, contradict := 0, 0
	if r.Model != nil {
		evidence, contradict = r.Model.Evidence, len(r.Model.Wrong)
	}
	most := int(identify.Tolerance * float64(said.Distinct))
	return []report.Check{
		{Name: "identified", Pass: r.Verdict == identify.Identified, Measured: said.Verdict, Expected: identify.Identified.String(),
			Detail: fmt.Sprintf("Of %d different observations.", said.Distinct)},
		{Name: "evidence", Pass: evidence >= identify.Enough, Measured: evidence, Expected: fmt.Sprintf("at least %d", identify.Enough),
			Detail: "Bits that could have contradicted the model and did not. With this many a wrong model is found in one of a million cases."},
		{Name: "contradictions", Pass: contradict <= most, Measured: contradict, Expected: fmt.Sprintf("at most %d", most),
			Detail: "Observations that contradict the model."},
	}
}

func tables(said *answer, r identify.Result) []report.Table {
	found := report.Table{Name: "model", Columns: []string{"property", "value"}, Rows: [][]any{{"verdict", said.Verdict}}}
	classes := report.Table{Name: "classes of packets", Columns: []string{"class", "fields", "observations", "contradict"}}
	wrong := report.Table{Name: "observations that contradict", Columns: []string{"line", "observation"}}
	if m := said.Model; m != nil {
		for _, row := range [][2]string{{"function", m.Function}, {"key", m.pattern}, {"key is", m.KeyName}, {"initial value", m.Initial}, {"input", m.arrangement}} {
			if row[1] != "" {
				found.Rows = append(found.Rows, []any{row[0], row[1]})
			}
		}
		for i, c := range m.Classes {
			classes.Rows = append(classes.Rows, []any{c.Class, c.Fields, c.Observations, r.Model.Classes[i].Wrong})
		}
		for _, p := range m.Wrong {
			wrong.Rows = append(wrong.Rows, []any{p.Line, p.Flow})
		}
	}
	tried := report.Table{Name: "keys tried", Columns: []string{"key", "ways", "fit", "excluded"}}
	for _, k := range r.Tried {
		name := k.Name
		if name == "" {
			name = "functions without a key"
		}
		tried.Rows = append(tried.Rows, []any{name, k.Ways, k.Fits, k.Fits == 0})
	}
	notes := report.Table{Name: "notes", Columns: []string{"note"}}
	for _, n := range said.Notes {
		notes.Rows = append(notes.Rows, []any{n})
	}
	return []report.Table{found, classes, tried, wrong, notes}
}

// agreeFigure draws how many observations of each class agree with the model, and how many agree with a wrong one.
func agreeFigure(r identify.Result, chance float64) (report.Figure, error) {
	panel := report.Panel{X: "class of packets", Y: "observations that agree"}
	for _, c := range r.Model.Classes {
		share := report.Share{Label: c.Class, Count: float64(c.Observations - c.Wrong), Expected: chance * float64(c.Observations)}
		if bands, err := balance.ShareBands(c.Observations, []float64{chance, 1 - chance}, 0.95); err == nil {
			share.Low, share.High = float64(bands[0].Low), float64(bands[0].High)
		}
		panel.Shares = append(panel.Shares, share)
	}
	return report.Shares("agreement", "Observations that agree with the model",
		"Grey is how many agree with a wrong model by chance, in 95 of 100 cases; dashed is their mean.", panel)
}

// keyFigure draws which bits of the key follow from the observations, four bytes a row.
func keyFigure(m *identify.Model) (report.Figure, error) {
	const across = 32
	matrix := report.Matrix{X: "bit of the word", Y: "32-bit word of the key", Unit: "known"}
	for x := range across {
		matrix.Columns = append(matrix.Columns, strconv.Itoa(x))
	}
	for word := range (8*len(m.Known) + across - 1) / across {
		row := make([]float64, across)
		for x := range row {
			if bit := word*across + x; bit < 8*len(m.Known) {
				row[x] = float64(m.Known[bit/8] >> (7 - bit%8) & 1)
			}
		}
		matrix.Rows, matrix.Counts = append(matrix.Rows, strconv.Itoa(word)), append(matrix.Counts, row)
	}
	return report.HeatMap("key", "Bits of the key that follow from the observations",
		fmt.Sprintf("Dark bits are certain. Of the others, %d are free, so that %s keys explain the observations.", m.Freedom, powerOfTwo(m.Freedom)), matrix)
}

func powerOfTwo(n int) string {
	if n > 20 {
		return fmt.Sprintf("2 to the power %d", n)
	}
	return report.Cell(int(math.Exp2(float64(n))))
}
