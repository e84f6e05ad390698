package repolint

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// pkg is what `go list` says of a package.
type pkg struct {
	ImportPath, Doc string
	GoFiles         []string
	Imports         []string
	// TestImports are those of its tests in the package, XTestImports of those beside it.
	TestImports, XTestImports []string
}

func packages(t *testing.T) (all []pkg) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,GoFiles,Imports,TestImports,XTestImports", "lbctl/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// within tells whether a package is one of the trees, or below it.
func within(path string, trees ...string) bool {
	return slices.ContainsFunc(trees, func(t string) bool {
		return path == "lbctl/"+t || strings.HasPrefix(path, "lbctl/"+t+"/")
	})
}

// rooms are the top-level trees and those that each may import: the arrows go down.
var rooms = map[string][]string{
	"cmd":     {"cmd", "testbed", "control", "lb", "rss", "bpf"},
	"testbed": {"testbed", "control", "lb", "rss", "bpf"},
	"control": {"control", "lb", "rss"},
	"lb":      {"lb", "rss", "bpf"},
	"rss":     {"rss", "bpf"},
	"bpf":     {"bpf"},
	"deploy":  {"deploy"},
}

func TestArrowsGoDown(t *testing.T) {
	for _, p := range packages(t) {
		room, _, _ := strings.Cut(strings.TrimPrefix(p.ImportPath, "lbctl/"), "/")
		below, known := rooms[room]
		if !known {
			t.Errorf("%s stands in no room of the house", p.ImportPath)
			continue
		}
		for _, i := range p.Imports {
			if strings.HasPrefix(i, "lbctl/") && !within(i, below...) {
				t.Errorf("%s imports %s: %s may import %v only", p.ImportPath, i, room, below)
			}
		}
	}
}

// commands are the trees in cmd and those that each may import: shared things go down to cmd/cli, so that nouns do
// not know each other and a command can be read, moved and tested with its own noun alone.
var commands = map[string][]string{
	"cmd/lbctl":   {"cmd/balance", "cmd/nic", "cmd/lab", "cmd/cli"},
	"cmd/balance": {"cmd/balance", "cmd/cli"},
	"cmd/nic":     {"cmd/nic", "cmd/cli"},
	"cmd/lab":     {"cmd/lab", "cmd/cli"},
	"cmd/cli":     {"cmd/cli"},
}

func TestCommandsGoDown(t *testing.T) {
	for _, p := range packages(t) {
		if !within(p.ImportPath, "cmd") {
			continue
		}
		noun := strings.Join(strings.SplitN(strings.TrimPrefix(p.ImportPath, "lbctl/"), "/", 3)[:2], "/")
		below, known := commands[noun]
		if !known {
			t.Errorf("%s is no noun of cmd: want one of balance, nic, lab, or cli for what they share", p.ImportPath)
		}
		for _, i := range p.Imports {
			if within(i, "cmd") && !within(i, below...) {
				t.Errorf("%s imports %s: want %v only", p.ImportPath, i, below)
			}
			if p.ImportPath != "lbctl/"+noun && noun != "cmd/cli" && within(i, noun) {
				t.Errorf("%s imports %s: the verbs of a noun do not know each other", p.ImportPath, i)
			}
		}
	}
}

// controlLayers are the packages of control, and what each may import of control. The engine knows no
// HTTP, the intent neither YAML nor JSON: another front end, store or file format is then a new package and
// no change of those, and each is tested without the others.
var controlLayers = map[string][]string{
	"intent":          {},
	"api":             {},
	"wire":            {"api", "intent"},
	"config":          {"api", "intent", "wire"},
	"reconcile":       {"intent"},
	"safedir":         {},
	"access":          {"safedir"},
	"profile":         {},
	"store":           {"api", "intent", "safedir", "wire"},
	"store/storetest": {"intent", "wire", "store"},
	"engine":          {"intent", "reconcile", "store"},
	"health":          {"intent"},
	"framediff":       {"api"},
	"importer":        {"api"},
	"metrics":         {"api", "intent", "engine"},
	"events":          {"api", "intent", "engine"},
	"docs":            {},
	"rest":            {"api", "intent", "wire", "config", "reconcile", "engine", "docs", "events", "rest/conditions", "rest/encode", "framediff", "metrics", "safedir", "access", "profile", "store"},
	"rest/conditions": {"api", "intent", "engine", "wire", "rest/encode"},
	"rest/encode":     {},
	"rest/stress":     {},
	"client":          {"api"},
}

func TestControlLayers(t *testing.T) {
	const control = "lbctl/control/"
	for _, p := range packages(t) {
		name, is := strings.CutPrefix(p.ImportPath, control)
		if !is {
			continue
		}
		below, known := controlLayers[name]
		if !known {
			t.Errorf("%s has no layer in controlLayers", p.ImportPath)
		}
		for _, i := range p.Imports {
			if imported, is := strings.CutPrefix(i, control); is && !slices.Contains(below, imported) {
				t.Errorf("%s imports %s: of control it may import %v only", p.ImportPath, i, below)
			}
		}
	}
}

// fences keep a package to those who need it. The first that names an import decides.
var fences = []struct {
	imported string
	by       []string
	why      string
}{
	{"lbctl/testbed/report", []string{"testbed", "cmd"}, "every answer in numbers may be a page"},
	{"lbctl/testbed/progress", []string{"testbed", "cmd"}, "whatever takes long shows how far it is"},
	{"lbctl/testbed", []string{"testbed", "cmd/lab"}, "the testbed drives the product from outside"},
	{"lbctl/lb/datapath", []string{"lb/datapath", "cmd/balance", "lb/doctor", "lb/decap"}, "control knows the Dataplane, never a map"},
	{"github.com/cilium/ebpf", []string{"bpf", "lb/datapath", "lb/tables", "lb/checkpath", "lb/decap", "lb/losses", "lb/xdp", "lb/testns", "lb/doctor", "rss/observe", "testbed/xdp", "testbed/rig", "testbed/vm", "testbed/experiments/live", "testbed/experiments/peers"}, "only these load BPF programs; the benchmarks send and count live frames with theirs"},
	{"github.com/vishvananda/netlink", []string{"lb/nexthop", "lb/checkpath", "lb/decap", "lb/xdp", "lb/testns", "lb/doctor", "rss/ethtool", "testbed"}, "so has its network"},
	{gopacket, []string{"testbed/capture"}, "it is no longer maintained: captures of the testbed alone are written and decoded by it, never on a hot path"},
	{"lbctl/lb/tables", []string{"lb/tables", "lb/nexthop", "lb/datapath"}, "the rows that packets read are changed by the kernel dataplane alone"},
	{"lbctl/lb/nexthop", []string{"lb/datapath", "lb/doctor", "lb/checkpath"}, "the kernel dataplane alone resolves next hops; the doctor asks for routes as it does, and checks are sent by them"},
	{"lbctl/lb/testns", nil, "it makes namespaces and links for tests"},
	{"C", nil, "no cgo: one static binary"},
}

const gopacket = "github.com/google/gopacket"

// inTree tells whether an import is a package or below it.
func inTree(imported, path string) bool {
	return imported == path || strings.HasPrefix(imported, path+"/")
}

func TestFences(t *testing.T) {
	for _, p := range packages(t) {
		for _, i := range p.Imports {
			for _, f := range fences {
				if !inTree(i, f.imported) {
					continue
				}
				if !within(p.ImportPath, f.by...) {
					t.Errorf("%s imports %s, which is for %v only: %s", p.ImportPath, i, f.by, f.why)
				}
				break
			}
		}
	}
}

// TestSecondOpinion: gopacket, which shares no code with our readers and decoders, checks these in tests, and no
// others.
func TestSecondOpinion(t *testing.T) {
	for _, p := range packages(t) {
		for _, i := range slices.Concat(p.TestImports, p.XTestImports) {
			if inTree(i, gopacket) && !within(p.ImportPath, "testbed", "rss/replay") {
				t.Errorf("a test of %s imports %s: tests of testbed and rss/replay may", p.ImportPath, i)
			}
		}
	}
}

// leaves import nothing else of the module, so that any package can import them.
var leaves = []string{"lbctl/testbed/report", "lbctl/testbed/progress"}

func TestLeaves(t *testing.T) {
	for _, p := range packages(t) {
		if !slices.Contains(leaves, p.ImportPath) {
			continue
		}
		for _, i := range p.Imports {
			if strings.HasPrefix(i, "lbctl/") {
				t.Errorf("%s imports %s: it is a leaf", p.ImportPath, i)
			}
		}
	}
}

// An oracle shares no code with what it checks.
func TestOracleStandsApart(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "lbctl/lb/oracle")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dependency := range strings.Fields(string(out)) {
		if within(dependency, "bpf", "lb/xdp", "lb/tables", "lb/nexthop", "lb/datapath") {
			t.Errorf("lbctl/lb/oracle depends on %s", dependency)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
