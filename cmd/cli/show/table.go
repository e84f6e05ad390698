package show

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"lbctl/cmd/cli"
)

// Table is rows of one form.
type Table struct {
	// Columns are the headers; those after Narrow of them are printed by -o wide alone. Narrow is 0 if all are printed.
	Columns []string
	Narrow  int
	Rows    []Row
}

// Row is one thing.
type Row struct {
	// Name is that of -o name: service/web. It is unique in its table.
	Name string
	// Cells are one for each column: numbers, or texts. An empty text is printed as a dash.
	Cells []any
}

// Add adds a row.
func (t *Table) Add(name string, cells ...any) { t.Rows = append(t.Rows, Row{name, cells}) }

// Ranked is a text that is sorted as a number.
type Ranked struct {
	Text string
	Rank float64
}

// String returns the text.
func (r Ranked) String() string { return r.Text }

// grid is what has been printed of a table.
type grid struct {
	widths []int
	lines  map[string]string // by name
}

func (p *printer) printTables(a Answer) error {
	if err := p.sort(a.Tables); err != nil {
		return err
	}
	if p.flags.Format == FormatName {
		return p.printNames(a.Tables)
	}
	if p.printed == 0 {
		p.tables = make([]grid, len(a.Tables))
	}
	for n := range a.Tables {
		p.printTable(n, a.Tables[n])
	}
	if p.printed == 0 {
		for _, note := range a.Notes {
			fmt.Fprintf(p.out, "\n%s\n", note)
		}
	}
	return nil
}

// printTable prints the rows that were not printed so. A table is set apart from the one before, and headed, unless it has no
// rows and is not the first.
func (p *printer) printTable(n int, t Table) {
	g := &p.tables[n]
	columns := t.Columns
	if t.Narrow > 0 && p.flags.Format != FormatWide {
		columns = columns[:t.Narrow]
	}
	var rows []Row
	lines := map[string]string{}
	for _, r := range t.Rows {
		line := fmt.Sprint(texts(r.Cells[:len(columns)]))
		if was, had := g.lines[r.Name]; !had || was != line {
			rows = append(rows, r)
		}
		lines[r.Name] = line
	}
	var gone []string
	for was := range g.lines {
		if _, is := lines[was]; !is {
			gone = append(gone, was)
		}
	}
	g.lines = lines
	headed := g.widths != nil
	if headed && len(rows)+len(gone) == 0 || !headed && n > 0 && len(rows) == 0 {
		return
	}
	if !headed && n > 0 {
		fmt.Fprintln(p.out)
	}
	cells := [][]string{}
	if !headed {
		g.widths = make([]int, len(columns))
		if !p.flags.noHeaders {
			cells = append(cells, columns)
		}
	}
	for _, r := range rows {
		cells = append(cells, texts(r.Cells[:len(columns)]))
	}
	g.write(p.out, cells)
	for _, was := range slices.Sorted(slices.Values(gone)) {
		fmt.Fprintf(p.out, "%s is gone\n", was)
	}
}

// write writes rows, each column as wide as it ever was.
func (g *grid) write(w io.Writer, rows [][]string) {
	for _, r := range rows {
		for n, text := range r {
			g.widths[n] = max(g.widths[n], utf8.RuneCountInString(text))
		}
	}
	for _, r := range rows {
		var line strings.Builder
		for n, text := range r {
			line.WriteString(text)
			if n < len(r)-1 {
				line.WriteString(strings.Repeat(" ", g.widths[n]-utf8.RuneCountInString(text)+2))
			}
		}
		fmt.Fprintln(w, line.String())
	}
}

func (p *printer) printNames(tables []Table) error {
	if p.printed == 0 {
		p.tables = []grid{{lines: map[string]string{}}}
	}
	for _, t := range tables {
		for _, r := range t.Rows {
			if _, had := p.tables[0].lines[r.Name]; !had && r.Name != "" {
				p.tables[0].lines[r.Name] = ""
				fmt.Fprintln(p.out, r.Name)
			}
		}
	}
	return nil
}

func texts(cells []any) []string {
	all := make([]string, len(cells))
	for n, c := range cells {
		if all[n] = cli.OneLine(fmt.Sprint(c)); all[n] == "" {
			all[n] = "-"
		}
	}
	return all
}

// sort sorts the rows of the tables that have the column of --sort-by; one must.
func (p *printer) sort(tables []Table) error {
	by, down := strings.CutPrefix(p.flags.sortBy, "-")
	if by == "" {
		return nil
	}
	found, names := false, []string{}
	for _, t := range tables {
		names = append(names, t.Columns...)
		column := slices.IndexFunc(t.Columns, func(c string) bool { return strings.EqualFold(c, by) })
		if column < 0 {
			continue
		}
		found = true
		slices.SortStableFunc(t.Rows, func(a, b Row) int {
			order := compare(a.Cells[column], b.Cells[column])
			if down {
				return -order
			}
			return order
		})
	}
	if !found {
		return cli.Usage(p.command, "--sort-by: there is no column %q: want %s", by, cli.OneOf(names)).OrNearest(strings.ToUpper(by), names, "--sort-by ")
	}
	return nil
}

// compare compares numbers as numbers, addresses as addresses, and anything else by its text.
func compare(a, b any) int {
	x, isNumber := number(a)
	y, too := number(b)
	if isNumber && too {
		return cmp.Compare(x, y)
	}
	s, t := fmt.Sprint(a), fmt.Sprint(b)
	p, err := netip.ParseAddrPort(s)
	q, wrong := netip.ParseAddrPort(t)
	if err == nil && wrong == nil {
		return p.Compare(q)
	}
	return cmp.Compare(s, t)
}

func number(cell any) (float64, bool) {
	if r, is := cell.(Ranked); is {
		return r.Rank, true
	}
	v := reflect.ValueOf(cell)
	switch {
	case !v.IsValid():
		return 0, false
	case v.CanInt():
		return float64(v.Int()), true
	case v.CanUint():
		return float64(v.Uint()), true
	case v.CanFloat():
		return v.Float(), true
	}
	return 0, false
}
