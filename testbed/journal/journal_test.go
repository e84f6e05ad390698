package journal_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lbctl/testbed/journal"
)

type line struct{ Number int }

func TestJournalKeepsEveryLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	j, err := journal.Create[line](path)
	if err != nil {
		t.Fatal(err)
	}
	var want []line
	var writers sync.WaitGroup
	for i := range 1000 {
		want = append(want, line{i})
		writers.Go(func() { j.Append(line{i}) })
	}
	writers.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := journal.Read[line](path)
	if err != nil {
		t.Fatal(err)
	}
	byNumber := cmpopts.SortSlices(func(a, b line) bool { return a.Number < b.Number })
	if diff := cmp.Diff(want, got, byNumber); diff != "" {
		t.Error(diff)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"half a line":   "{\"Number\":1}\n{\"Num",
		"unknown field": "{\"Other\":1}\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := journal.Read[line](path); err == nil {
				t.Errorf("read %v without an error", got)
			}
		})
	}
}
