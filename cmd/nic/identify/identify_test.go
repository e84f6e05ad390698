package identify

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"lbctl/cmd/cli"
	"lbctl/cmd/nic/nictest"
	"lbctl/rss"
	"lbctl/rss/observe"
	"lbctl/rss/packet"
	"lbctl/testbed/report"
)

func TestMain(m *testing.M) { nictest.Main(m) }

// observations are CSV of n flows hashed under a key, with their queues of four.
func observations(key rss.Key, n int, columns string) string {
	r := rand.New(rand.NewPCG(5, 0))
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n", columns)
	for range n {
		s := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}), uint16(r.Uint32()))
		d := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(r.Uint32())}), uint16(r.Uint32()))
		if r.IntN(2) == 0 {
			s, d = d, s
		}
		h := rss.Toeplitz(key, rss.AppendTuple(nil, s, d))
		cells := map[string]string{"src": s.String(), "dst": d.String(), "hash": fmt.Sprintf("0x%08x", h), "queue": fmt.Sprint(h % 4)}
		for i, name := range strings.Split(columns, ",") {
			if i > 0 {
				text.WriteByte(',')
			}
			text.WriteString(cells[name])
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// --out has the evidence: what agrees and contradicts by class, the keys that were tried, and the bits of the key that are known.
func TestRSSIdentifyOut(t *testing.T) {
	w := nictest.New(t, Command)
	lines := strings.SplitAfter(observations(rss.MicrosoftKey(), 64, "src,dst,hash"), "\n")
	lines[9] = lines[9][:strings.LastIndexByte(lines[9], ',')] + ",0x12345678\n"
	w.Write("ms.csv", strings.Join(lines, ""))
	w.OK("rss", "identify", w.Path("ms.csv"), "--key", "symmetric", "--out", w.Path("out"))
	r, figures, err := report.Load(w.Path("out"))
	if err != nil || !r.Pass || len(figures) != 2 || figures[0].Name != "agreement" || figures[1].Name != "key" {
		t.Fatalf("%v, pass %v, %d figures", err, r.Pass, len(figures))
	}
	if got := fmt.Sprint(r.Tables[1].Rows); got != "[[tcp4 sdfn 64 1]]" {
		t.Errorf("classes %s", got)
	}
	excluded := map[string]string{}
	for _, row := range r.Tables[2].Rows {
		excluded[fmt.Sprint(row[0])] = fmt.Sprint(row[3])
	}
	if excluded["the key given"] != "true" || excluded["ms"] != "false" || excluded["functions without a key"] != "true" {
		t.Errorf("keys tried %v", excluded)
	}
	if got := fmt.Sprint(r.Tables[3].Rows[0][0]); len(r.Tables[3].Rows) != 1 || got != "10" {
		t.Errorf("contradicting: %v", r.Tables[3].Rows)
	}
	// Too few observations are a report that does not pass.
	key := rss.MicrosoftKey()
	key[3] ^= 0x41
	w.Write("few.csv", observations(key, 2, "src,dst,hash"))
	if code, _, errs := w.Run("rss", "identify", w.Path("few.csv"), "--out", w.Path("few")); code != cli.ExitFailed {
		t.Errorf("exit %d, %s", code, errs)
	}
	if r, _, err := report.Load(w.Path("few")); err != nil || r.Pass {
		t.Errorf("two observations: pass %v, %v", r.Pass, err)
	}
}

func TestRSSIdentify(t *testing.T) {
	w := nictest.New(t, Command)
	reversed := rss.MicrosoftKey()
	slices.Reverse(reversed)
	w.Write("hashes.csv", observations(reversed, 64, "src,dst,hash,queue"))
	text := w.OK("rss", "identify", w.Path("hashes.csv"))
	want := fmt.Sprintf(`verdict         identified, by the hashes of 64 observations
function        toeplitz
key             %v
key is          ms, byte-reversed
initial value   0x00000000
input           as Microsoft specifies
fields of tcp4  sdfn (64 observations)
evidence        2048 bits that could have contradicted the model and did not
table           4 queues in turn, of any size
`, reversed)
	if text != want {
		t.Errorf("got\n%s want\n%s", text, want)
	}
	key := rss.MicrosoftKey()
	for i := range key {
		key[i] ^= byte(37 * i)
	}
	w.Write("queues.csv", observations(key, 200, "dst,queue,src"))
	var got struct {
		Verdict, By string
		Model       struct {
			Key, Known, Order string
			KeyName           string `json:"key_name"`
			Undetermined      []string
		}
	}
	if err := json.Unmarshal([]byte(w.OK("rss", "identify", w.Path("queues.csv"), "-o", "json", "--queues", "4", "--table", "128")), &got); err != nil {
		t.Fatal(err)
	}
	// All source addresses begin with 10 or 192.0.2, so that only sums of some key bits are known.
	if got.Verdict != "identified" || got.By != "queue" || got.Model.KeyName != "" || len(got.Model.Undetermined) == 0 || got.Model.Order != "source, destination" {
		t.Errorf("got %+v", got)
	}
	if err := json.Unmarshal([]byte(w.OK("rss", "identify", w.Path("queues.csv"), "-o", "json", "--key", key.String())), &got); err != nil {
		t.Fatal(err)
	}
	if got.Model.KeyName != "the key given" || got.Model.Key != key.String() {
		t.Errorf("got %+v", got)
	}
}

// It is said whether a given key is excluded, in how many ways it was tried, and what is left.
func TestRSSIdentifyGivenKey(t *testing.T) {
	w := nictest.New(t, Command)
	w.Write("hashes.csv", observations(rss.MicrosoftKey(), 64, "src,dst,hash,queue"))
	other := rss.MicrosoftKey()
	other[3] ^= 0x10
	text := w.OK("rss", "identify", w.Path("hashes.csv"), "--key", other.String()) +
		w.OK("rss", "identify", w.Path("hashes.csv"), "--key", "ms")
	for _, want := range []string{"key given       excluded: it fits in none of the ", " ways that were tried; left is ms\n", "key given       not excluded ("} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

func TestRSSIdentifyBadInput(t *testing.T) {
	w := nictest.New(t, Command)
	key := rss.MicrosoftKey()
	w.Write("good.csv", observations(key, 20, "src,dst,queue"))
	w.Write("bad.csv", "src,dst,hash\n192.0.2.1:1,[::1]:2,0x1\n")
	w.Write("mixed.csv", "src,dst,hash,queue\n192.0.2.1:1,192.0.2.2:2,0x1,\n192.0.2.1:1,192.0.2.2:3,,1\n")
	see := "see lbctl rss identify --help"
	for _, c := range []struct {
		line       string
		code       int
		what, hint string
	}{
		{"", 2, "missing FILE", see},
		{"a b", 2, `unexpected argument "b"`, see},
		{"DIR/good.csv --interface eth0", 2, `unexpected argument "DIR/good.csv"`, see},
		{"DIR/none.csv", 3, "open DIR/none.csv: no such file or directory", "check the name"},
		{"-", 2, "-: read observations: the input is empty", "see lbctl rss identify --help for the format of observations"},
		{"DIR/bad.csv", 2, "DIR/bad.csv: line 2: 192.0.2.1 to ::1: want both of one address family", "see lbctl rss identify --help for the format of observations"},
		{"DIR/mixed.csv", 2, "1 of 2 observations have a hash and 1 a queue: want one of the two in all", "correct the observations, or the flags that describe the NIC"},
		{"DIR/good.csv --queues 2", 2, "queue 3 was observed: want below 2, the number of queues", "correct the observations, or the flags that describe the NIC"},
		{"DIR/good.csv --queues -1", 2, "--queues: -1: want 1 to 65536", see},
		{"DIR/good.csv --table 128", 2, "--table and --fill need --queues", see},
		{"DIR/good.csv --queues 4 --table 0x", 2, `invalid argument "0x" for "--table" flag: strconv.ParseInt: parsing "0x": invalid syntax`, see},
		{"DIR/good.csv --key abcd", 2, "--key: rss key of 2 bytes: want 40 to 256", see},
		{"DIR/good.csv --key-length 39", 2, "--key-length: 39 bytes: want 40 to 256", see},
		{"--interface nosuch0", 3, "", ""},
	} {
		if c.what == "" {
			if code, _, _ := w.Run(append([]string{"rss", "identify"}, strings.Fields(c.line)...)...); code != c.code {
				t.Errorf("%s: exit %d, want %d", c.line, code, c.code)
			}
			continue
		}
		w.Refused("rss identify "+c.line, c.code, c.what, c.hint)
	}
	// An answer without a model is printed and the command fails.
	w.Write("few.csv", observations(slices.Repeat(rss.Key{0xc5, 0x11, 0x2f}, 14), 2, "src,dst,hash"))
	code, stdout, stderr := w.Run("rss", "identify", w.Path("few.csv"))
	if code != cli.ExitFailed || !strings.HasPrefix(stdout, "verdict         undetermined") || !strings.HasPrefix(stderr, "lbctl: there are too few observations\n") {
		t.Errorf("exit %d, stdout %s, stderr %s", code, stdout, stderr)
	}
}

// TestObserved: only sightings with a hash are used, if there are any.
func TestObserved(t *testing.T) {
	flow := packet.Flow{Source: netip.MustParseAddrPort("192.0.2.1:1"), Destination: netip.MustParseAddrPort("192.0.2.2:2"), Protocol: packet.TCP}
	plain := observe.Sighting{Flow: flow, Queue: 3}
	hashed := observe.Sighting{Flow: flow.Reverse(), Queue: 1, Hash: 7, Hashed: true}
	got := observed([]observe.Sighting{plain, hashed})
	if len(got) != 1 || got[0].Hash != 7 || !got[0].HasHash || got[0].Queue != 1 {
		t.Errorf("with a hash: %+v", got)
	}
	got = observed([]observe.Sighting{plain, plain})
	if len(got) != 2 || got[0].HasHash || !got[0].HasQueue || got[0].Queue != 3 || got[0].Flow != flow {
		t.Errorf("without: %+v", got)
	}
}
