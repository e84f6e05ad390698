package replay

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss/packet"
	"lbctl/rss/replay/pcap"
)

// The JSON of a report can be read back.
func TestReadObservedOfReport(t *testing.T) {
	c := newCapture(pcap.Ethernet).frames(packet.Frame{Flow: flowOf(1)}, packet.Frame{Flow: flowOf(2)})
	report := run(t, c, Options{NIC: mustNIC(t, 4), Queues: 200})
	text, err := json.Marshal(report)
	must(t, err)
	got, err := ReadObserved(strings.NewReader(string(text)))
	must(t, err)
	if diff := cmp.Diff(report.Observed(), got); diff != "" {
		t.Errorf("observed (-report +read):\n%s", diff)
	}
	if got.Queues != 200 || !slices.Equal(got.Table(), mustNIC(t, 4).Config().Table) {
		t.Errorf("%d queues, table %v", got.Queues, got.Table())
	}
}

func TestReadObservedRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                                      "read buckets: empty",
		`[]`:                                    "cannot unmarshal array",
		`{`:                                     "unexpected EOF",
		`{}`:                                    `no "buckets"`,
		`{"buckets":[{}]}x`:                     "",
		`{"buckets":[{"index":0},{"index":0}]}`: "bucket 0 of 2: want each of 0 to 1 once",
		`{"buckets":[{"index":1}]}`:             "bucket 1 of 1: want each of 0 to 0 once",
		`{"buckets":[{"index":-1}]}`:            "bucket -1 of 1",
		`{"buckets":[{"index":0,"queue":65536}]}`:                       "cannot unmarshal number 65536",
		`{"buckets":[{"index":0,"packets":-1}]}`:                        "cannot unmarshal number -1",
		`{"buckets":[{"index":0,"packets":18446744073709551615}]}`:      "too large",
		`{"buckets":[{"bytes":9e9}],"unhashed":{"flows":1e300}}`:        "cannot unmarshal number",
		`{"buckets":[{"index":0}` + strings.Repeat(`,{}`, 1<<16) + `]}`: "65537 buckets: want at most 65536",
	} {
		got, err := ReadObserved(strings.NewReader(text))
		switch {
		case want == "":
			if err != nil {
				t.Errorf("%.60s: %v", text, err)
			}
		case err == nil || !strings.Contains(err.Error(), want):
			t.Errorf("%.60s: %+v, %v; want %q", text, got, err, want)
		}
	}
}

// FuzzReadObserved checks that accepted input is a table of existing queues, with sums that fit.
func FuzzReadObserved(f *testing.F) {
	f.Add(`{"buckets":[{"index":1,"queue":3,"packets":7,"bytes":700,"flows":2},{"index":0}],"unhashed":{"packets":1},"queues":[{},{}]}`)
	f.Add(`{"buckets":[{"index":0,"queue":65535,"packets":72057594037927936}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ReadObserved(strings.NewReader(text))
		if err != nil {
			return
		}
		table, sum := o.Table(), uint64(0)
		for i, b := range o.Buckets {
			if b.Index != i {
				t.Errorf("bucket %d is at %d", b.Index, i)
			}
			sum += b.Packets
		}
		if len(table) == 0 || table.Queues() > o.Queues || sum+o.Unhashed.Packets > maxSum {
			t.Errorf("%d entries over %d of %d queues, %d packets", len(table), table.Queues(), o.Queues, sum)
		}
	})
}
