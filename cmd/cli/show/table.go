package show

import (
	"bufio"
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
	w := bufio.NewWriterSize(p.out, 64<<10)
	for n := range a.Tables {
		p.printTable(w, n, a.Tables[n])
	}
	if p.printed == 0 {
		for _, note := range a.Notes {
			fmt.Fprintf(w, "\n%s\n", note)
		}
	}
	return w.Flush()
}

// printTable prints the rows that were not printed so. A table is set apart from the one before, and headed, unless it has no
// rows and is not the first.
func (p *printer) printTable(w io.Writer, n int, t Table) {
	g := &p.tables[n]
	columns := t.Columns
	if t.Narrow > 0 && p.flags.Format != FormatWide {
		columns = columns[:t.Narrow]
	}
	headed := g.widths != nil
	cells, gone := g.changed(t.Rows, len(columns), p.flags.watch)
	if headed && len(cells)+len(gone) == 0 || !headed && n > 0 && len(cells) == 0 {
		return
	}
	if !headed && n > 0 {
		fmt.Fprintln(w)
	}
	if !headed {
		g.widths = make([]int, len(columns))
		if !p.flags.noHeaders {
			cells = slices.Insert(cells, 0, columns)
		}
	}
	g.write(w, cells)
	for _, was := range gone {
		fmt.Fprintf(w, "%s is gone\n", was)
	}
}

// changed returns the cells of the rows that were not printed so, and the names of those that are gone. Where that will not be asked
// again it keeps none.
func (g *grid) changed(rows []Row, columns int, again bool) (cells [][]string, gone []string) {
	lines := map[string]string{}
	cells = make([][]string, 0, len(rows)+1)
	for _, r := range rows {
		row := texts(r.Cells[:columns])
		if again {
			lines[r.Name] = fmt.Sprint(row)
			if was, had := g.lines[r.Name]; had && was == lines[r.Name] {
				continue
			}
		}
		cells = append(cells, row)
	}
	for was := range g.lines {
		if _, is := lines[was]; !is {
			gone = append(gone, was)
		}
	}
	g.lines = lines
	slices.Sort(gone)
	return cells, gone
}

// write writes rows, each column as wide as it ever was.
func (g *grid) write(w io.Writer, rows [][]string) {
	for _, r := range rows {
		for n, text := range r {
			g.widths[n] = max(g.widths[n], utf8.RuneCountInString(text))
		}
	}
	var line []byte
	for _, r := range rows {
		line = line[:0]
		for n, text := range r {
			line = append(line, text...)
			if n == len(r)-1 {
				break
			}
			for range g.widths[n] - utf8.RuneCountInString(text) + 2 {
				line = append(line, ' ')
			}
		}
		w.Write(append(line, '\n'))
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
		text, is := c.(string)
		if !is {
			text = fmt.Sprint(c)
		}
		if all[n] = cli.OneLine(text); all[n] == "" {
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
