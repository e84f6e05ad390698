package replay

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbctl/cmd/cli"
	"lbctl/cmd/nic/nictest"
	"lbctl/rss/nic"
	"lbctl/rss/replay"
	"lbctl/rss/replay/pcap"
	"lbctl/rss/setup"
)

func TestMain(m *testing.M) { nictest.Main(m) }

func TestRSSReplay(t *testing.T) {
	w := nictest.New(t, Command)
	file := w.Write("c.pcap", nictest.Capture(20))
	var got struct {
		Packets, Bytes, Flows int
		Queues                []struct{ Queue, Packets, Bytes, Flows int }
		Top                   []struct{ Packets int }
		Affinity              []struct{ Cause string }
		Windows               struct{ List []struct{ Packets int } }
		Compare               []struct {
			Name  string
			Moved struct{ Flows int }
		}
	}
	text := w.OK("rss", "replay", file, "--queues", "8", "--top", "3", "--window", "1ms", "-o", "json",
		"--compare", "queues=8", "--compare", "key=symmetric,table=64", "--change-at", "100", "--change-to", "equal 1")
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	packets, flows, windows := 0, 0, 0
	for _, q := range got.Queues {
		packets, flows = packets+q.Packets, flows+q.Flows
	}
	for _, window := range got.Windows.List {
		windows += window.Packets
	}
	if got.Packets != 210 || got.Bytes != 210*1500 || got.Flows != 20 || packets != 210 || flows != 20 || windows != 210 || len(got.Queues) != 8 {
		t.Errorf("got %+v", got)
	}
	if len(got.Top) != 3 || got.Top[0].Packets != 20 || len(got.Windows.List) != 3 {
		t.Errorf("top %+v, windows %+v", got.Top, got.Windows)
	}
	if len(got.Affinity) != 1 || got.Affinity[0].Cause != "table-changed" {
		t.Errorf("affinity %+v", got.Affinity)
	}
	if len(got.Compare) != 2 || got.Compare[1].Name != "key=symmetric,table=64" || got.Compare[1].Moved.Flows == 0 {
		t.Errorf("compare %+v", got.Compare)
	}
}

// The text has every section.
func TestRSSReplayTable(t *testing.T) {
	w := nictest.New(t, Command)
	text := w.OK("rss", "replay", w.Write("c.pcap", nictest.Capture(20)), "--window", "1ms", "--compare", "queues=8")
	for _, want := range []string{
		"capture  pcap, 210 packets, 315,000 bytes, 20 flows, 0.002 s\n", "nic      4 queues, table of 128, toeplitz\n",
		"QUEUE  PACKETS  BYTES", "IMBALANCE  MAX/MEAN  BY CHANCE", "LEAST MAX/MEAN", "A rewritten table helps", "LARGEST FLOWS",
		"tcp 198.51.100.0:40000 > 192.0.2.1:80  20", "Every flow stayed on one queue", "FROM     PACKETS", "0.001 s  100",
		"With queues=8:",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasSuffix(line, " \n") {
			t.Errorf("spaces at the end of %q", line)
		}
	}
}

// The answer comes before the figures, and what is not in them is said: packets cut too short, and the causes of those without a
// hash.
func TestRSSReplayApart(t *testing.T) {
	w := nictest.New(t, Command)
	whole := nictest.Capture(20)
	arp := strings.Repeat("\x00", 8) + "\x3c\x00\x00\x00\x3c\x00\x00\x00" + strings.Repeat("\x00", 12) + "\x08\x06" + strings.Repeat("\x00", 46)
	short := whole[24:32] + "\x22\x00\x00\x00\xdc\x05\x00\x00" + whole[40:40+34] // no port of 1500 bytes
	file := w.Write("c.pcap", whole+arp+short)
	text := w.OK("rss", "replay", file, "--profile", "ena", "--fill", "weight 0 1 1 1")
	for _, want := range []string{
		"not predicted  1 more packet, cut before what the NIC hashes: in no figure below\n",
		"NOT HASHED  PACKETS  BYTES  SHARE OF PACKETS  EXAMPLE\narp         1        60       0.5 %\n",
		"They go to queue 1, which entry 0 of the table names.\n", "capture        pcap, 211 packets",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	verdict, figures := strings.Index(text, "helps:"), strings.Index(text, "QUEUE  PACKETS")
	if verdict < 0 || verdict > figures {
		t.Errorf("the verdict is not before the figures:\n%s", text)
	}
}

// A report passes only if its figures are those of the whole capture.
func TestRSSReplayReportFails(t *testing.T) {
	whole := nictest.Capture(5)
	for name, c := range map[string]struct {
		file  string
		spoil func(*replay.Report)
		pass  bool
	}{
		"whole":          {whole, func(*replay.Report) {}, true},
		"cut":            {whole[:len(whole)-1], func(*replay.Report) {}, false},
		"damaged":        {whole + whole[24:32] + "\x00\x00\x00\x40" + whole[36:], func(*replay.Report) {}, false},
		"a packet lost":  {whole, func(r *replay.Report) { r.Queues[0].Packets--; r.Packets-- }, false},
		"a flow lost":    {whole, func(r *replay.Report) { r.Queues[3].Flows++ }, false},
		"an entry wrong": {whole, func(r *replay.Report) { r.Buckets[1].Packets++ }, false},
	} {
		w := nictest.New(t, Command)
		reader, err := pcap.Open(strings.NewReader(c.file))
		if err != nil {
			t.Fatal(err)
		}
		config, err := nic.Default(4)
		if err != nil {
			t.Fatal(err)
		}
		n, err := nic.New(config)
		if err != nil {
			t.Fatal(err)
		}
		found, err := replay.Run(t.Context(), reader, replay.Options{NIC: n})
		if err != nil {
			t.Fatal(name, err)
		}
		c.spoil(found)
		f := &flags{ReplayFlags: &cli.ReplayFlags{NICFlag: &cli.NICFlag{Setup: &setup.Setup{}}}, out: filepath.Join(filepath.Dir(w.Write("x", "")), "out")}
		if err := f.write(name, found); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(f.out, "report.json"))
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Pass bool }
		if err := json.Unmarshal(b, &got); err != nil || got.Pass != c.pass {
			t.Errorf("%s: pass %v, %v; want %v", name, got.Pass, err, c.pass)
		}
	}
}

// A flag and the same word in --compare describe the same NIC, so nothing moves.
func TestRSSReplayWords(t *testing.T) {
	w := nictest.New(t, Command)
	file := w.Write("c.pcap", nictest.Capture(40))
	table := w.Write("table.json", `{"table":[3,1,0,2,3]}`)
	for _, c := range []struct {
		flags []string
		words string
	}{
		{[]string{"--queues", "8"}, "queues=8"},
		{[]string{"--key", "symmetric"}, "key=symmetric"},
		{[]string{"--table", "97"}, "table=97"},
		{[]string{"--fields", "tcp4=sd"}, "tcp4=sd"},
		{[]string{"--fill", "weight 1 2 1"}, "fill=weight 1 2 1"},
		{[]string{"--fill", "@" + table}, "fill=@" + table},
		{[]string{"--function", "crc32"}, "function=crc32"},
		{[]string{"--transform", "symmetric-xor"}, "transform=symmetric-xor"},
		{[]string{"--profile", "igb", "--inner", "vxlan+gre"}, "profile=igb,inner=vxlan+gre"},
	} {
		moved := func(flags []string, words string) uint64 {
			var r replay.Report
			args := append([]string{"rss", "replay", file, "-o", "json", "--compare", words}, flags...)
			if err := json.Unmarshal([]byte(w.OK(args...)), &r); err != nil {
				t.Fatal(err)
			}
			return r.Compare[0].Moved.Flows
		}
		if n := moved(c.flags, c.words); n != 0 {
			t.Errorf("%v against %s: %d flows move, want none", c.flags, c.words, n)
		}
		if n := moved(nil, c.words); n == 0 {
			t.Errorf("%s: nothing moves, though something is set", c.words)
		}
	}
}

func TestRSSReplayReport(t *testing.T) {
	w := nictest.New(t, Command)
	w.OK("rss", "replay", w.Write("c.pcap", nictest.Capture(20)), "--window", "1ms", "--out", w.Path("report"))
	page, err := os.ReadFile(w.Path("report/report.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"replay of c.pcap", "Flows and load of queues", "Load of the entries", "Load of queues over time", "A rewritten table helps"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("%q is missing in the report", want)
		}
	}
	for _, name := range []string{"report.json", "queues.svg", "entries.svg", "windows.svg"} {
		if _, err := os.Stat(w.Path("report/" + name)); err != nil {
			t.Error(err)
		}
	}
}

// A capture that is cut short is replayed up to the cut, with a warning.
func TestRSSReplayOfWhatIsLeft(t *testing.T) {
	w := nictest.New(t, Command)
	whole := nictest.Capture(5)
	file := w.Write("cut.pcap", whole[:len(whole)-7])
	code, stdout, stderr := w.Run("rss", "replay", file, "-o", "json")
	var r replay.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	const cut = "capture is cut short at byte 1004: in the middle of a record"
	if code != cli.ExitDone || r.Packets != 14 || r.File.Cut != cut {
		t.Errorf("exit %d, %d packets, cut %q", code, r.Packets, r.File.Cut)
	}
	if want := "lbctl: DIR/cut.pcap: " + cut + "; the packets before it are used\n"; stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
}

func TestRSSReplayBadInput(t *testing.T) {
	w := nictest.New(t, Command)
	whole := nictest.Capture(2)
	record := whole[24:]
	w.Write("good.pcap", whole)
	w.Write("empty.pcap", "")
	w.Write("text.pcap", "this is no capture")
	w.Write("head.pcap", whole[:24])
	w.Write("half.pcap", whole[:10])
	w.Write("link.pcap", whole[:20]+"\x7f\x00\x00\x00"+record)
	w.Write("long.pcap", whole[:24]+record[:8]+"\x00\x00\x00\x40"+record[12:])
	w.Write("table.json", `{"table":[9]}`)
	w.Write("empty.json", `[{"table":[]}]`)
	links := "ethernet (1), raw (12), raw (14), raw (101), ipv4 (228), ipv6 (229), linux-sll (113), linux-sll2 (276), null (0), loop (108), " +
		"nflog (239), dsa-brcm (281), dsa-brcm-prepend (282), dsa (284), edsa (285)"
	help := "see lbctl rss replay --help"
	for _, c := range []struct {
		args       []string
		code       int
		what, hint string
	}{
		{nil, 2, "missing FILE", help},
		{[]string{"DIR/none.pcap"}, 3, "open DIR/none.pcap: no such file or directory", "check the name"},
		{[]string{"DIR"}, 2, "DIR: a folder, not a file", "name a file"},
		{[]string{"DIR/empty.pcap"}, 2, "DIR/empty.pcap: file is empty", "name a file that tcpdump -w or dumpcap wrote"},
		{[]string{"DIR/text.pcap"}, 2, "DIR/text.pcap: not a capture at byte 0: it begins with 74686973, not as pcap or pcapng do", "name a pcap or pcapng file, gzipped or not"},
		{[]string{"DIR/half.pcap"}, 2, "DIR/half.pcap: capture is cut short at byte 0: in the middle of the file header", "the file's header is incomplete: capture again"},
		{[]string{"DIR/head.pcap"}, 2, "DIR/head.pcap: no packet to replay", "capture some traffic; supported link types: " + links},
		{[]string{"DIR/link.pcap"}, 2, "DIR/link.pcap: link type not read at byte 20: 802.11-radiotap; those read are " + links, "capture on an Ethernet interface, on any, or on lo"},
		{[]string{"DIR/long.pcap"}, 2, "DIR/long.pcap: replay capture: absurd length at byte 24: a record of 1073741824 bytes of a packet of 1500: want at most 262144 of 16777216",
			"the file is damaged: truncate it before that record, or capture again"},
		{[]string{"DIR/good.pcap", "--queues", "0"}, 2, "--queues: 0: want 1 to 65536", help},
		{[]string{"DIR/good.pcap", "--key", "abcd"}, 2, "--key: rss key of 2 bytes: want 40 to 256", help},
		{[]string{"DIR/good.pcap", "--default-queue", "4"}, 2, "--default-queue: queue 4: want 0 to 3", help},
		{[]string{"DIR/good.pcap", "--default-queue", "first"}, 2, `--default-queue: default queue "first": want the number of a queue, or entry-0 for the queue that entry 0 of the table names`, help},
		{[]string{"DIR/good.pcap", "--fields", "tcp9=sd"}, 2, `--fields: flow type "tcp9" is not known: want tcp4, udp4, sctp4, esp4, ah4, ip4, tcp6, udp6, sctp6, esp6, ah6, ip6`, help},
		{[]string{"DIR/good.pcap", "--inner", "ppp"}, 2, `--inner: tunnel "ppp" is not known: want some of ipip+gre+vxlan+geneve+gtpu+pppoe+mpls, or all`, help},
		{[]string{"DIR/good.pcap", "--fill", "@DIR/table.json", "--queues", "4"}, 2, "--fill: read table of DIR/table.json: 1 entries over 10 queues: want at most 4", help},
		{[]string{"DIR/good.pcap", "--fill", "@DIR/text.pcap"}, 2, "--fill: read table of DIR/text.pcap: no indirection table: want the output of ethtool -x, or JSON", help},
		{[]string{"DIR/good.pcap", "--fill", "@DIR/empty.json"}, 2, "--fill: read table of DIR/empty.json: 0 entries: want 1 to 65536", help},
		{[]string{"DIR/good.pcap", "--fill", "weight 1 1 1 1 1"}, 2, `--fill: indirection table "weight 1 1 1 1 1" names queue 4: want 0 to 3`, help},
		{[]string{"DIR/good.pcap", "--compare", "queues"}, 2, `--compare: "queues": want name=value, joined by commas: queues=8,table=512,key=symmetric,udp4=sd`, help},
		{[]string{"DIR/good.pcap", "--compare", "queues=x"}, 2, `--compare: "queues=x": want a number`, help},
		{[]string{"DIR/good.pcap", "--compare", "table=-1"}, 2, "--compare: table=-1: table: -1: want 1 to 65536", help},
		{[]string{"DIR/good.pcap", "--by", "flows"}, 2, `--by: "flows" is not known: want packets or bytes`, help},
		{[]string{"DIR/good.pcap", "--by", "byte"}, 2, `--by: "byte" is not known: want packets or bytes`, "did you mean --by bytes?"},
		{[]string{"DIR/good.pcap", "--window", "-1s"}, 2, "--window: -1s: want a time above 0", help},
		{[]string{"DIR/good.pcap", "--top", "-1"}, 2, "--top: -1: want 0 to 10000", help},
		{[]string{"DIR/good.pcap", "--change-at", "10s"}, 2, "--change-at and --change-to: want both or none", help},
		{[]string{"DIR/good.pcap", "--change-at", "soon", "--change-to", "equal 2"}, 2, `--change-at: "soon": want a time above 0 such as 10s, or a number of packets`, help},
		{[]string{"DIR/good.pcap", "--change-at", "5", "--change-to", "equal 5"}, 2, `--change-to: indirection table "equal 5" names queue 4: want 0 to 3`, help},
	} {
		w.RefusedArgs(append([]string{"rss", "replay"}, c.args...), c.code, c.what, c.hint)
	}
}
