package document_test

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/control/api"
	"lbctl/control/config"
	"lbctl/control/intent"
	"lbctl/control/wire"
)

func TestMain(m *testing.M) { clitest.Main(m, balance.XDP{}, balance.Commands) }

// TestExample: the file that init writes is right, with and without what is commented out, and says what every field is for.
func TestExample(t *testing.T) {
	text, err := os.ReadFile("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	parse := func(text string) api.Config {
		t.Helper()
		f, err := config.Parse("example.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Resolve(f.Config, intent.Default()); err != nil {
			t.Fatal(f.Locate(err))
		}
		return f.Config
	}
	short := parse(string(text))
	all := parse(regexp.MustCompile(`(?m)^( *)#( *(?:- )?[a-zA-Z_]+:)`).ReplaceAllString(string(text), "$1$2"))
	if reflect.DeepEqual(short, all) {
		t.Error("nothing is commented out")
	}
	// What excludes another field is told beside that one.
	instead := map[string]string{".Services.Health.Statuses": ` statuses: [200-299, "304"]`}
	for _, f := range missing(reflect.ValueOf(all), "") {
		if told := instead[f]; told != "" && strings.Contains(string(text), told) {
			continue
		}
		t.Errorf("the example has no %s", f)
	}
}

// missing returns the fields of a value that nothing sets: of a list, those that no element sets.
func missing(v reflect.Value, name string) (fields []string) {
	switch v.Kind() {
	case reflect.Pointer:
		return missing(v.Elem(), name)
	case reflect.Slice:
		for i := range v.Len() {
			now := missing(v.Index(i), name)
			if i > 0 {
				now = both(fields, now)
			}
			fields = now
		}
	case reflect.Struct:
		for i := range v.NumField() {
			below := name + "." + v.Type().Field(i).Name
			if v.Field(i).IsZero() {
				fields = append(fields, below)
				continue
			}
			fields = append(fields, missing(v.Field(i), below)...)
		}
	}
	return fields
}

// both returns what is in a and in b.
func both(a, b []string) (common []string) {
	for _, s := range a {
		for _, o := range b {
			if s == o {
				common = append(common, s)
			}
		}
	}
	return common
}

func TestInit(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	name := w.Path("new.yaml")
	if code, out, err := w.Run("init", name); code != cli.ExitDone || out != "" {
		t.Fatalf("init: %d %q %s", code, out, err)
	}
	if code, out, err := w.Run("check", "-f", name); code != cli.ExitDone || !strings.Contains(out, "3 services, 5 replicas, 1 interface: right") {
		t.Errorf("check: %d %q %s", code, out, err)
	}
	if err := os.WriteFile(name, []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, err := w.Run("init", name); code != cli.ExitConflict || !strings.Contains(err, "it is there already") {
		t.Errorf("init over a file: %d %s", code, err)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "mine\n" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

// TestCheck: all problems of a file are told, each with its place, and no daemon is asked.
func TestCheck(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	name := w.Path("bad.yaml")
	text := "kind: Balancer\nservices:\n  - name: web\n    vip: 192.0.2.1:0\n    replicas:\n      - {address: 10.1.0.1:80, weight: 0}\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errors := w.Run("check", "-f", name, "--socket", w.Path("nobody"))
	want := "1:7: kind: \"Balancer\" is not known: want LoadBalancer, or leave it out\n6:40: services[0].replicas[0].weight: 0 is not a weight: want 1 to 65535; to send a replica nothing, set its state to down\n"
	if code != cli.ExitUsage || out != want || !strings.Contains(errors, "and 1 more problem") {
		t.Errorf("check: %d\n%s%s", code, out, errors)
	}
	if _, out, _ := w.Run("check", "-f", w.Write("half.yaml", "services: [")); !strings.HasPrefix(out, "ends in the middle") {
		t.Errorf("a problem of the whole file: %s", out)
	}
	_, out, _ = w.Run("check", "-f", name, "-o", "json")
	var found struct {
		Valid    bool
		Problems []struct {
			Line  int
			Field string
		}
	}
	if err := json.Unmarshal([]byte(out), &found); err != nil || found.Valid || len(found.Problems) != 2 || found.Problems[1].Line != 6 {
		t.Errorf("check -o json: %s %v", out, err)
	}
}

// TestRollback: an earlier revision becomes the intent again, as a new revision; --dry-run says what that would do.
func TestRollback(t *testing.T) {
	const web = "interfaces: [{name: eth0}]\nservices:\n  - name: web\n    vip: 192.0.2.1:80\n    replicas: [{address: 10.1.0.1:80}, {address: 10.1.0.2:80}]\n"
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("a.yaml", web))
	w.OK("apply", "-f", w.Write("down.yaml", strings.Replace(web, "address: 10.1.0.2:80", "address: 10.1.0.2:80, state: down", 1)))
	w.OK("apply", "-f", w.Write("b.yaml", "interfaces: []\nservices: []\n"))
	history := w.OK("get", "revisions")
	for i, want := range []string{"REVISION ", "3 ", "2 ", "1 "} {
		if line := strings.Split(history, "\n")[i]; !strings.HasPrefix(line, want) {
			t.Errorf("line %d of the history is %q, want %s first", i, line, want)
		}
	}
	for _, part := range []string{"put config", "start with"} {
		if !strings.Contains(history, part) {
			t.Errorf("the history does not say %s:\n%s", part, history)
		}
	}
	steps := "1  set     tcp 192.0.2.1:80  new  nat, modulo, jhash, 2 replicas\n2  attach  eth0              new  auto\n"
	if out := w.OK("rollback", "2", "--dry-run"); out != steps {
		t.Errorf("it would do\n%s", out)
	}
	if out := w.OK("get", "services", "-o", "json"); strings.Contains(out, "web") {
		t.Errorf("a dry run has changed something: %s", out)
	}
	if out := w.OK("rollback", "2"); out != steps {
		t.Errorf("it did\n%s", out)
	}
	now, then := w.OK("get", "config"), w.OK("get", "revisions", "2")
	comments, isThat := strings.CutSuffix(then, now)
	for _, part := range []string{"# revision 2: put config\n# by ", "\n# services[web].replicas[10.1.0.2:80].state: active > down\n"} {
		if !strings.Contains(comments, part) {
			t.Errorf("the comments lack %q:\n%s", part, comments)
		}
	}
	if !isThat || !strings.Contains(now, "state: down") {
		t.Errorf("the intent is\n%s\nwant\n%s", now, then)
	}
	if out := w.OK("get", "revisions", "--limit", "1"); !strings.Contains(out, "roll back to revision 2") || strings.Count(out, "\n") != 2 {
		t.Errorf("the last revision: %s", out)
	}
	w.Refused("rollback 9", cli.ExitNotFound, "revision 9: not found", "list what is kept: lbctl get revisions")
	w.Refused("get revisions x", cli.ExitUsage, `"x" is no revision: want a number from 1, as lbctl get revisions shows it`, "see lbctl get revisions --help")
}

func TestSchema(t *testing.T) {
	var schema struct {
		Defs map[string]struct {
			Properties map[string]struct{ Enum []string } `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(clitest.New(t, balance.Commands).OK("schema")), &schema); err != nil {
		t.Fatal(err)
	}
	if modes := schema.Defs["Service"].Properties["mode"].Enum; !reflect.DeepEqual(modes, []string{"nat", "dsr", "ipip"}) {
		t.Errorf("the schema knows the modes %q", modes)
	}
}

// TestComplete: shells complete names of what there is; without a daemon nothing.
func TestComplete(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	if code, out, _ := w.Run("__complete", "drain", ""); code != cli.ExitDone || strings.TrimSpace(out) != ":1" {
		t.Errorf("without a daemon: %d %q", code, out)
	}
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	for line, want := range map[string]string{
		"drain ": "web dns", "drain web ": "10.0.0.1:8080 10.0.0.2:8080", "replica add ": "web dns", "replica add web ": "",
		"replica set dns ": "[2001:db8:1::1]:53", "get flows ": "web dns", "get replicas ": "web dns", "get interfaces ": "eth0", "detach ": "eth0",
		"rollback ": "1\tstart with DIR/web.yaml", "get revisions ": "1\tstart with DIR/web.yaml", "detach eth0 ": "", "attach l": "lo",
	} {
		_, out, _ := w.Run(append([]string{"__complete"}, strings.Split(line, " ")...)...)
		words, directive, _ := strings.Cut(strings.TrimSpace(out), ":4")
		if got := strings.Join(strings.Split(strings.TrimSpace(words), "\n"), " "); got != want && !(want == "lo" && strings.Contains(got, want)) || directive != "" {
			t.Errorf("lbctl %s: completed to %q, want %q (%q)", line, got, want, out)
		}
	}
}

// TestImport: what lbctl import prints is a file that check takes, with what it lacks above it and on stderr.
func TestImport(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	code, file, said := w.Fed("-A -t 192.0.2.1:80 -s wlc\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1\n", "import", "ipvsadm")
	const lack = "not carried over: line 1: scheduler wlc looks at load"
	if code != cli.ExitDone || !strings.HasPrefix(file, "# "+lack) || !strings.HasPrefix(said, lack) {
		t.Errorf("exit %d\n%s%s", code, file, said)
	}
	w.OK("check", "-f", w.Write("imported.yaml", file))
	if code, file, said := w.Fed("", "import", "ipvsadm"); code != cli.ExitUsage || file != "" || !strings.Contains(said, "it has no service") {
		t.Errorf("nothing to import: exit %d\n%s%s", code, file, said)
	}
	w.Refused("import haproxy "+w.Write("bad.cfg", "listen\n"), cli.ExitUsage, "DIR/bad.cfg: line 1: invalid: section listen has no name", "correct the line, or remove it")
}
