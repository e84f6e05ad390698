package repolint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// Most files of a package, tests included, most lines of a file, and of a function without its tables of
// values: what is larger is more than one thing.
const (
	mostFiles         = 40
	mostFileLines     = 500
	mostFunctionLines = 60
)

// lines is the number of lines that a piece of code stands on.
func lines(set *token.FileSet, n ast.Node) int {
	return set.Position(n.End()).Line - set.Position(n.Pos()).Line + 1
}

// dataLines is how many of them only list values: rows of a table.
func dataLines(set *token.FileSet, f *ast.FuncDecl) (sum int) {
	ast.Inspect(f, func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if ok {
			sum += lines(set, literal) - 1
		}
		return !ok
	})
	return sum
}

func TestSizes(t *testing.T) {
	files := map[string]int{}
	walk(t, func(path string, d fs.DirEntry) {
		if d.IsDir() || filepath.Ext(path) != ".go" || strings.Contains(path, "_bpfel") {
			return
		}
		files[filepath.Dir(path)]++
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		if n := set.File(parsed.Pos()).LineCount(); n > mostFileLines {
			t.Errorf("%s has %d lines, more than %d", path, n, mostFileLines)
		}
		for _, decl := range parsed.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := lines(set, f) - dataLines(set, f); n > mostFunctionLines {
				t.Errorf("%s: %s has %d lines, more than %d", set.Position(f.Pos()), f.Name.Name, n, mostFunctionLines)
			}
		}
	})
	for dir, n := range files {
		if n > mostFiles {
			t.Errorf("%s has %d files, more than %d", dir, n, mostFiles)
		}
	}
}
