package key

import (
	"encoding/json"
	"strings"
	"testing"

	"lbctl/cmd/nic/nictest"
	"lbctl/rss"
	"lbctl/testbed/report"
)

func TestMain(m *testing.M) { nictest.Main(m) }

func TestRSSKeyAnalyse(t *testing.T) {
	w := nictest.New(t, Command)
	text := w.OK("rss", "key", "analyse", "symmetric", "--queues", "8")
	for _, want := range []string{
		"repeats    every 16 bits\n", "halves     equal\n", "symmetric  ipv4 sdfn: yes\n", "symmetric  ipv6 sd: yes\n",
		"ipv4 f              6     7      8      9      10       11       12       -\n",
		"ports of one client per queue                                8192 to 8192 of 65536\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
	var got struct {
		Bytes    int
		Period   int `json:"period_bits"`
		Halves   bool
		Symmetry []struct {
			LowBits int `json:"low_bits"`
		}
		Ranks   []struct{ Bits []int }
		Traffic []struct{ Flows, Queues int }
	}
	if err := json.Unmarshal([]byte(w.OK("rss", "key", "analyze", "ms", "-o", "json")), &got); err != nil {
		t.Fatal(err)
	}
	if got.Bytes != 40 || got.Period != 0 || len(got.Symmetry) != 4 || got.Symmetry[0].LowBits != 0 || len(got.Ranks) != 8 || len(got.Traffic) != 6 {
		t.Errorf("analysis %+v", got)
	}
}

// The verdict is the first line, and --out has the evidence: a key of zeros with few ones is biased, and its report does not pass.
func TestRSSKeyAnalyseOut(t *testing.T) {
	w := nictest.New(t, Command)
	poor := strings.Repeat("00", 11) + "8" + strings.Repeat("0", 57) // one bit
	for key, c := range map[string]struct {
		verdict string
		pass    bool
	}{
		"symmetric": {"The key spreads all 6 kinds of traffic over 4 queues at least as evenly as chance does. Both directions of a flow have one hash.\n", true},
		poor:        {"The key spreads 6 of 6 kinds of traffic over 4 queues less evenly than chance does: ipv4 client, consecutive ports (", false},
	} {
		if text := w.OK("rss", "key", "analyse", key, "--out", w.Path("out")); !strings.HasPrefix(text, c.verdict) {
			t.Errorf("%s: first lines of\n%s, want\n%s", key, text, c.verdict)
		}
		r, figures, err := report.Load(w.Path("out"))
		if err != nil || r.Pass != c.pass || len(r.Checks) != 6 || len(figures) != 2 {
			t.Errorf("%s: %v, pass %v, %d checks, %d figures", key, err, r.Pass, len(r.Checks), len(figures))
		}
	}
	if text := w.OK("rss", "key", "analyse", "ms", "--queues", "1"); !strings.HasPrefix(text, "There is only one queue.\n") {
		t.Errorf("one queue:\n%s", text)
	}
}

// TestRSSKeyGenerate makes keys and has them analysed.
func TestRSSKeyGenerate(t *testing.T) {
	w := nictest.New(t, Command)
	generate := func(args ...string) (keys []rss.Key, commands []string) {
		var made struct {
			Keys []struct{ Key, Command string }
			Free int `json:"free_bits"`
			Seed *uint64
		}
		text := w.OK(append([]string{"rss", "key", "generate", "-o", "json"}, args...)...)
		if err := json.Unmarshal([]byte(text), &made); err != nil {
			t.Fatal(err)
		}
		for _, k := range made.Keys {
			key, err := rss.ParseKey(k.Key)
			if err != nil {
				t.Fatal(err)
			}
			keys, commands = append(keys, key), append(commands, k.Command)
		}
		return keys, commands
	}
	a, command := generate("--length", "52", "--seed", "7", "--interface", "eth3")
	b, _ := generate("--length", "52", "--seed", "7")
	if len(a) != 1 || len(a[0]) != 52 || a[0].String() != b[0].String() || command[0] != "ethtool -X eth3 hkey "+a[0].String() {
		t.Errorf("keys %v and %v, command %q", a, b, command)
	}
	if other, _ := generate("--length", "52", "--seed", "8"); other[0].String() == a[0].String() {
		t.Error("two seeds give one key")
	}
	c, _ := generate()
	d, _ := generate()
	if c[0].String() == d[0].String() {
		t.Error("two random keys are equal")
	}
	symmetric, _ := generate("--symmetric", "--spread", "f:0-6")
	if text := w.OK("rss", "key", "analyse", symmetric[0].String()); !strings.Contains(text, "ipv6 sdfn: yes") {
		t.Errorf("not symmetric:\n%s", text)
	}
	pair, commands := generate("--two-way", "--interface", "eth0", "--interface", "eth1")
	if len(pair) != 2 || !strings.HasPrefix(commands[1], "ethtool -X eth1 hkey ") || pair[0].String() == pair[1].String() {
		t.Errorf("pair %v, commands %q", pair, commands)
	}
}

func TestRSSKeyBadInput(t *testing.T) {
	w := nictest.New(t, Command)
	for _, c := range []struct {
		line       string
		code       int
		what, hint string
	}{
		{"rss key analyse", 2, "missing KEY", "see lbctl rss key analyse --help"},
		{"rss key analise ms", 2, `unknown command "analise"`, "did you mean analyse?"},
		{"rss key analyse 6d:5a", 2, "KEY: rss key of 2 bytes: want 40 to 256", "see lbctl rss key analyse --help"},
		{"rss key analyse ms --table 0", 2, "--table, --queues: indirection table of 0 entries: want 1 to 65536", "see lbctl rss key analyse --help"},
		{"rss key analyse ms --queues 0", 2, "--table, --queues: indirection table over 0 queues: want 1 to 65536", "see lbctl rss key analyse --help"},
		{"rss key generate --length 39", 2, "rss key of 39 bytes: want 40 to 256", "see lbctl rss key generate --help"},
		{"rss key generate --table 1", 2, "indirection table of 1 entries: want 2 to 65536", "see lbctl rss key generate --help"},
		{"rss key generate --only none", 2, `--only: want letters of sdfn, not "none"`, "see lbctl rss key generate --help"},
		{"rss key generate --only sx", 2, `--only: want letters of sdfn, not "sx"`, "see lbctl rss key generate --help"},
		{"rss key generate --only d", 1, "no such key: under all keys that meet the constraints field d does not change the index", "drop a constraint, name one --family, or allow equal indexes (--index-only)"},
		{"rss key generate --spread f", 2, `--spread: "f": want a field and its bits, as f:0-6`, "see lbctl rss key generate --help"},
		{"rss key generate --spread f:a-b", 2, `--spread: "f:a-b": want a field and its bits, as f:0-6`, "see lbctl rss key generate --help"},
		{"rss key generate --spread f:10-16", 2, "spread bits 10 to 16 of field f: want 0 to 15, the lower one first", "see lbctl rss key generate --help"},
		{"rss key generate --family ipv5", 2, `--family: "ipv5" is not known: want ipv4, ipv6 or both`, "see lbctl rss key generate --help"},
		{"rss key generate --interface a --interface b", 2, "--interface: 2 interfaces for 1 key", "see lbctl rss key generate --help"},
		{"rss key generate --symmetric --two-way", 2, "one symmetric key and a pair of keys: want one of the two", "see lbctl rss key generate --help"},
	} {
		w.Refused(c.line, c.code, c.what, c.hint)
	}
}
