package repolint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSequentialPackages: what deploy/test tests without the race detector starts no goroutine, in
// tests neither.
func TestSequentialPackages(t *testing.T) {
	list, err := os.ReadFile("../sequential")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range strings.Fields(string(list)) {
		files, err := filepath.Glob(filepath.Join(top, dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("deploy/sequential: %s is no package (%v)", dir, err)
		}
		for _, path := range files {
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if concurrent(n) {
					t.Errorf("%s: concurrency in a package of deploy/sequential", set.Position(n.Pos()))
				}
				return true
			})
		}
	}
}

// concurrent tells whether code starts a goroutine by itself or by the means of sync and testing.
func concurrent(n ast.Node) bool {
	if call, ok := n.(*ast.CallExpr); ok {
		method, ok := call.Fun.(*ast.SelectorExpr)
		return ok && (method.Sel.Name == "Go" || method.Sel.Name == "Parallel" || method.Sel.Name == "RunParallel")
	}
	_, ok := n.(*ast.GoStmt)
	return ok
}
