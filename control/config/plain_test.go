package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/api"
)

// plainFiles are files as people and programs write them, and whether they are plain.
var plainFiles = []struct {
	text string
	is   bool
}{
	{"services: []\n", true},
	{"services:\n- name: web\n  vip: 192.0.2.1:80\n  replicas:\n  - address: 10.1.0.1:80\n  - {address: 10.1.0.2:80, weight: 3}\n- {name: b, vip: \"[2001:db8::1]:80\", replicas: []}\n", true},
	{"# a\n\napiVersion: lbctl/v1 # b\nservices:\n  # c\n  -   name: web   # d\n      vip: 192.0.2.1:80\n      seed: 0\n      idle: 1h30m\n      health:\n        {type: http, path: /a/b.html, statuses: [\"200-299\"], timeout: 100ms}\n      source_ranges:\n        - 203.0.113.0/24\n        - \"::/0\"\n      replicas: [{address: 10.1.0.1:80, drain_until: 2030-01-31T12:00:00Z}]\ninterfaces: [{name: eth0}]\n", false},
	{"# a\n\napiVersion: lbctl/v1 # b\nservices:\n  # c\n  -   name: web   # d\n      vip: 192.0.2.1:80\n      seed: 0\n      idle: 1h30m\n      health: {type: http, path: /a/b.html, statuses: [\"200-299\"], timeout: 100ms}\n      source_ranges:\n        - 203.0.113.0/24\n        - \"::/0\"\n      replicas: [{address: 10.1.0.1:80, drain_until: 2030-01-31T12:00:00Z}]\ninterfaces: [{name: eth0}]\n", true},
	{"datapath: {limits: {services: 16384, flows: 1024}}\nservices: []\n", true},
	{"datapath:\n  limits: {}\nservices: []\n", true},
	{"services:\n  - name: a\n   vip: b\n", false},
	{"services:\n  - name: a\n    name: b\n", false},
	{"services:\n  - name: true\n", false},
	{"services:\n  - name: 5\n", false},
	{"services:\n  - seed: \"5\"\n", false},
	{"services:\n  - seed: 010\n", false},
	{"services:\n  - seed: 5.5\n", false},
	{"services:\n  - name: a\n      b\n", false},
	{"services:\n  - name: a b\n", false},
	{"services:\n  - name: a\n- name: b\n", false},
	{"services:\n  - name: a\n  vip: b\n", false},
	{"services:\n  - name:\n    vip: b\n", false},
	{"services:\n  - name: \"a # b\"\n", false},
	{"services:\n  - {name: a,}\n", false},
	{"services:\n  - {name: a}}\n", false},
	{"services: []\r\n", false},
	{"services: [\n]\n", false},
	{"services:\n\t- name: a\n", false},
	{"---\nservices: []\n", false},
	{"- name: a\n", false},
	{" services: []\n", false},
	{"services: &a []\n", false},
	{"services: {}\n", false},
	{"services: []\nservices: []\n", false},
	{"# only\n", false},
	{"", false},
}

func TestPlain(t *testing.T) {
	for _, c := range plainFiles {
		if is := checkPlain(t, c.text); is != c.is {
			t.Errorf("%q: plain %t, want %t", c.text, is, c.is)
		}
	}
}

// checkPlain compares what is read of a text with what the YAML package reads, and reports whether it is plain.
func checkPlain(t *testing.T, text string) bool {
	var got, want api.Config
	if !readPlain(reflect.ValueOf(&got).Elem(), []byte(text)) {
		return false
	}
	body, err := (&File{Name: "f.yaml"}).parse([]byte(text))
	if err != nil {
		t.Fatalf("%q is read, and is not YAML: %v", text, err)
	}
	d := decoder{fields: map[reflect.Type][]field{}}
	d.decode(reflect.ValueOf(&want).Elem(), body, nil, body.GetToken())
	if diff := cmp.Diff(want, got); len(d.problems) > 0 || diff != "" {
		t.Fatalf("%q: problems %v (-want +got):\n%s", text, d.problems, diff)
	}
	return true
}

// FuzzPlain: what is read in the short way is what the YAML package reads, and it takes it without a problem.
func FuzzPlain(f *testing.F) {
	for _, c := range plainFiles {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if reason, _ := unfinished([]byte(text)); reason == "" {
			checkPlain(t, text)
		}
	})
}

// BenchmarkParse reads 10,000 services of 10 replicas, as plain YAML and with a tab in a comment, which is not.
func BenchmarkParse(b *testing.B) {
	var text strings.Builder
	text.WriteString("services:\n")
	for range 10_000 {
		text.WriteString("  - name: web\n    vip: 192.0.2.1:80\n    replicas:\n" + strings.Repeat("      - address: 10.100.0.1:8080\n", 10))
	}
	for name, comment := range map[string]string{"plain": "# a\n", "tab": "# \ta\n"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if f, err := Parse("f.yaml", []byte(comment+text.String())); err != nil || len(f.Config.Services) != 10_000 {
					b.Fatal(err)
				}
			}
		})
	}
}
