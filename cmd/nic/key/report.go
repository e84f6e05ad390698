package key

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lbctl/cmd/cli"
	"lbctl/testbed/report"
)

// uneven tells whether random hashes would be less even in one of a hundred cases only.
func (t trafficAnswer) uneven() bool { return t.Imbalance > t.ByChance }

// judge says whether the key spreads structured traffic as chance would.
func (k *analysis) judge() {
	var bad []string
	for _, t := range k.Traffic {
		if t.uneven() {
			bad = append(bad, fmt.Sprintf("%s (%.3f, by chance up to %.3f)", t.Name, t.Imbalance, t.ByChance))
		}
	}
	switch {
	case k.Queues == 1:
		k.Verdict, k.Text = "one-queue", "There is only one queue."
	case len(bad) == 0:
		k.Verdict, k.Text = "even", fmt.Sprintf("The key spreads all %d kinds of traffic over %d queues at least as evenly as chance does.", len(k.Traffic), k.Queues)
	default:
		k.Verdict = "uneven"
		k.Text = fmt.Sprintf("The key spreads %d of %d kinds of traffic over %d queues less evenly than chance does: %s.", len(bad), len(k.Traffic), k.Queues, strings.Join(bad, ", "))
	}
	if i := slices.IndexFunc(k.Symmetry, func(s symmetryAnswer) bool { return s.Family == "ipv4" && s.Fields == "sdfn" }); i >= 0 && k.Symmetry[i].LowBits == 32 {
		k.Text += " Both directions of a flow have one hash."
	}
}

// write writes the analysis as a report.
func (k *analysis) write(dir, name string) error {
	bias, err := k.biasFigure()
	if err != nil {
		return err
	}
	ranks, err := k.rankFigure()
	if err != nil {
		return err
	}
	return cli.WriteReport(dir, "an RSS key", report.Result{
		Experiment: "analysis of the key " + name,
		Parameters: map[string]any{"key": k.Key, "queues": k.Queues, "table": k.Table},
		Checks:     k.checks(), Tables: k.tables(),
	}, bias, ranks)
}

// checks are one for each kind of traffic.
func (k *analysis) checks() (all []report.Check) {
	for _, t := range k.Traffic {
		all = append(all, report.Check{
			Name: t.Name, Pass: !t.uneven(), Measured: t.Imbalance, Expected: fmt.Sprintf("at most %.3f", t.ByChance),
			Detail: fmt.Sprintf("The busiest queue by its share, of %d flows; random hashes exceed the bound in one of a hundred cases.", t.Flows),
		})
	}
	return all
}

func (k *analysis) tables() []report.Table {
	traffic := report.Table{Name: "traffic", Columns: []string{"kind", "flows", "hashes", "entries", "queues", "all after", "max/mean", "by chance"}}
	for _, t := range k.Traffic {
		traffic.Rows = append(traffic.Rows, []any{t.Name, t.Flows, t.Hashes, t.Entries, t.Queues, t.AllAfter, t.Imbalance, t.ByChance})
	}
	blind := report.Table{Name: "bits of a field that do not change the index", Columns: []string{"field", "bits"}}
	for _, r := range k.Ranks {
		blind.Rows = append(blind.Rows, []any{r.Family + " " + r.Field, strings.Join(r.Blind, ",")})
	}
	symmetry := report.Table{Name: "symmetry", Columns: []string{"fields", "both directions have one hash"}}
	for _, s := range k.Symmetry {
		symmetry.Rows = append(symmetry.Rows, []any{s.Family + " " + s.Fields, symmetric(s.LowBits)})
	}
	p := k.SourcePorts
	ports := report.Table{Name: "source ports of one client", Columns: []string{"fewest per queue", "most per queue", "random ports until a hit", "known ports that reveal all"},
		Rows: [][]any{{p.Fewest, p.Most, p.Tries, p.Probes}}}
	verdict := report.Table{Name: "verdict", Columns: []string{"kind", "text"}, Rows: [][]any{{k.Verdict, k.Text}}}
	return []report.Table{verdict, traffic, symmetry, blind, ports}
}

// biasFigure draws the imbalance of each kind of traffic.
func (k *analysis) biasFigure() (report.Figure, error) {
	panel := report.Panel{X: "kind of traffic", Y: "busiest queue by its share"}
	var names []string
	for i, t := range k.Traffic {
		panel.Shares = append(panel.Shares, report.Share{Label: strconv.Itoa(i + 1), Count: t.Imbalance, Expected: 1, Low: 1, High: t.ByChance})
		names = append(names, fmt.Sprintf("%d is %s", i+1, t.Name))
	}
	return report.Shares("bias", "How evenly the key spreads structured traffic",
		fmt.Sprintf("Grey is what random hashes stay in, in 99 of 100 cases; a bar above it is a bias of the key. %s.", strings.Join(names, "; ")), panel)
}

// rankFigure draws how many bits of the index each field changes.
func (k *analysis) rankFigure() (report.Figure, error) {
	m := report.Matrix{X: "entries of the table", Y: "field", Unit: "bits"}
	for _, size := range k.TableSizes {
		m.Columns = append(m.Columns, strconv.Itoa(size))
	}
	for _, r := range k.Ranks {
		m.Rows = append(m.Rows, r.Family+" "+r.Field)
		row := make([]float64, len(r.Bits))
		for i, n := range r.Bits {
			row[i] = float64(n)
		}
		m.Counts = append(m.Counts, row)
	}
	return report.HeatMap("ranks", "Bits of the index that a field changes",
		"A field that changes r bits reaches 2 to the power r entries when nothing else changes: all of a table of 128 with 7.", m)
}
