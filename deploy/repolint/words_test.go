package repolint

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// privateWord is a word of our own where the field has one. Names are searched for it word by
// word: forgetHeard has "forget" and "heard".
type privateWord struct {
	word string
	// say is the field's word.
	say string
	// rooms are the trees that must not use it; none stands for all.
	rooms []string
	// names limits the rule to names in code: in comments and texts it is plain English.
	names bool
}

var privateWords = []privateWord{
	{word: "way", say: "decision, next hop, route or entry", rooms: []string{"bpf", "lb"}, names: true},
	{word: "ways", say: "entries, routes", rooms: []string{"bpf", "lb"}, names: true},
	{word: "heard", say: "cached (the FIB cache)", rooms: []string{"bpf", "lb/datapath", "lb/nexthop", "lb/tables"}},
	{word: "hear", say: "cache, be told"},
	{word: "homeward", say: "to the client"},
	{word: "origin", say: "reverse NAT entry (rev_nat)", rooms: []string{"bpf", "lb/datapath", "lb/tables"}},
	{word: "origins", say: "reverse NAT entries (rev_nat)", rooms: []string{"bpf", "lb/datapath", "lb/tables"}},
	{word: "embryo", say: "half-open"},
	{word: "embryos", say: "half-open"},
	{word: "embryonic", say: "half-open"},
	{word: "stir", say: "mix"},
	{word: "admits", say: "take a token", rooms: []string{"bpf"}},
	{word: "audience", say: "subscribers"},
	{word: "census", say: "index"},
	{word: "departed", say: "removed"},
	{word: "astray", say: "out of sync"},
	{word: "strayed", say: "misrouted"},
	{word: "strays", say: "misrouted"},
	{word: "duel", say: "differ"},
	{word: "wish", say: "constraint, open request"},
	{word: "wishes", say: "constraints"},
	{word: "doomed", say: "must break"},
	{word: "roused", say: "retransmitted"},
	{word: "amid", say: "during"},
	{word: "quicken", say: "tune"},
	{word: "crowd", say: "clients", rooms: []string{"testbed"}},
	{word: "beat", say: "keep-alive", names: true},
	{word: "push out", say: "evict", names: true},
	{word: "give back", say: "return to the client", names: true},
	{word: "settle down", say: "debounce", names: true},
	{word: "say taken", say: "warn of re-activation", names: true},
	{word: "say down", say: "log that a drain has expired", names: true},
	{word: "rundir", say: "instance"},
	{word: "dataplanetest", say: "contract"},
	{word: "keeper", say: "engine, thread"},
	{word: "gate", say: "token bucket, need", names: true},
	{word: "gates", say: "token buckets, need", names: true},
	{word: "vague", say: "undetermined"},
	{word: "resting", say: "after the transition, deferred"},
	{word: "aside", say: "unchanged, misrouted", rooms: []string{"testbed", "rss"}, names: true},
	{word: "stage", say: "bed", rooms: []string{"testbed"}, names: true},
	{word: "stages", say: "beds", rooms: []string{"testbed"}, names: true},
	{word: "succeed", say: "inherit", rooms: []string{"lb", "bpf"}, names: true},
	{word: "cast", say: "set-up", rooms: []string{"testbed"}},
}

// TestPrivateWords keeps the words of the field: a reader should not have to learn ours.
func TestPrivateWords(t *testing.T) {
	walk(t, func(path string, d fs.DirEntry) {
		kind := filepath.Ext(path)
		if d.IsDir() || strings.HasSuffix(path, "_bpfel.go") || strings.HasPrefix(path, top+"/deploy/repolint") {
			return
		}
		switch {
		case kind == ".go":
			for _, use := range goWords(t, path) {
				judgeWord(t, path, use)
			}
		case slices.Contains([]string{".c", ".h", ".md", ".tmpl", ".css"}, kind):
			for _, use := range plainWords(t, path) {
				judgeWord(t, path, use)
			}
		}
	})
}

// use is one word of a file, and whether it is part of a name.
type use struct {
	word string
	line int
	name bool
}

func judgeWord(t *testing.T, path string, u use) {
	t.Helper()
	below := func(room string) bool { return strings.HasPrefix(path, top+"/"+room+"/") }
	for _, p := range privateWords {
		if u.word == p.word && (u.name || !p.names) && (p.rooms == nil || slices.ContainsFunc(p.rooms, below)) {
			t.Errorf("%s:%d: %q is a word of our own: say %s", path, u.line, p.word, p.say)
		}
	}
}

func goWords(t *testing.T, path string) (all []use) {
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s scanner.Scanner
	file := token.NewFileSet().AddFile(path, -1, len(source))
	s.Init(file, source, nil, scanner.ScanComments)
	for {
		at, kind, text := s.Scan()
		if kind == token.EOF {
			return all
		}
		if kind != token.IDENT && kind != token.COMMENT && kind != token.STRING {
			continue
		}
		for _, w := range terms(text, kind == token.IDENT) {
			all = append(all, use{w, file.Line(at), kind == token.IDENT})
		}
	}
}

var (
	cText = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*|"[^"\n]*"`)
	cName = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)
)

// plainWords reads C, and texts, where all is prose.
func plainWords(t *testing.T, path string) (all []use) {
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text, isC := string(source), strings.HasSuffix(path, ".c") || strings.HasSuffix(path, ".h")
	prose := cText.FindAllStringIndex(text, -1)
	for _, at := range cName.FindAllStringIndex(text, -1) {
		inProse := slices.ContainsFunc(prose, func(p []int) bool { return p[0] <= at[0] && at[1] <= p[1] })
		isName := isC && !inProse
		for _, w := range terms(text[at[0]:at[1]], isName) {
			all = append(all, use{w, 1 + strings.Count(text[:at[0]], "\n"), isName})
		}
	}
	return all
}

// terms returns the words of a text, and of a name also each two that follow each other: "push out".
func terms(text string, isName bool) []string {
	all := words(text)
	for i := range len(all) - 1 {
		if isName {
			all = append(all, all[i]+" "+all[i+1])
		}
	}
	return all
}

// words splits names and prose into lower-case words: "forgetWays", "FORGET_WAYS", "forget ways".
func words(text string) (all []string) {
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			all = append(all, strings.ToLower(b.String()))
			b.Reset()
		}
	}
	letters := []rune(text)
	for i, r := range letters {
		switch {
		case !unicode.IsLetter(r):
			flush()
			continue
		case unicode.IsUpper(r) && i > 0 && (unicode.IsLower(letters[i-1]) || i+1 < len(letters) && unicode.IsUpper(letters[i-1]) && unicode.IsLower(letters[i+1])):
			flush()
		}
		b.WriteRune(r)
	}
	flush()
	return all
}

func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"forgetWays":         {"forget", "ways"},
		"FORGET_WAYS":        {"forget", "ways"},
		"HTTPServer in tcp4": {"http", "server", "in", "tcp"},
	} {
		if got := words(text); !slices.Equal(got, want) {
			t.Errorf("words(%q) = %q, want %q", text, got, want)
		}
	}
}
