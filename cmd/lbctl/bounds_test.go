package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/cmd/nic/nictest"
)

// bound is the highest value of a flag, and the next one.
type bound struct{ line, flag, highest, next string }

// bounds are the upper bounds of numbers that flags take.
var bounds = []bound{
	{"rss hash " + aFlow, "queues", "65536", "65537"},
	{"rss hash " + aFlow, "table", "65536", "65537"},
	{"rss hash " + aFlow, "default-queue", "3", "4"},
	{"explain " + aFlow, "queues", "65536", "65537"},
	{"explain --queues 4 " + aFlow, "table", "65536", "65537"},
	{"rss ports --src 192.0.2.1 --dst 192.0.2.2:2", "queue", "3", "4"},
	{"rss ports --src 192.0.2.1 --dst 192.0.2.2:2 --reply queues=8", "reply-queue", "7", "8"},
	{"rss ports --src 192.0.2.1 --dst 192.0.2.2:2", "range", "0-65535", "0-65536"},
	{"rss ports --src 192.0.2.1:1 --dst 192.0.2.2:2 --queue 1", "adjust", "16", "17"},
	{"rss ports --src 192.0.2.1:1 --dst 192.0.2.2:2 --adjust 7", "entry", "127", "128"},
	{"rss replay DIR/c.pcap", "top", "10000", "10001"},
	{"rss replay DIR/c.pcap", "queues", "65536", "65537"},
	{"rss plan DIR/c.pcap", "table", "65536", "65537"},
	{"rss plan --buckets DIR/buckets.json", "budget", "100%", "100.1%"},
	{"rss identify DIR/observed.csv", "key-length", "256", "257"},
	{"rss identify DIR/observed.csv", "queues", "65536", "65537"},
	{"rss identify DIR/observed.csv --queues 4", "table", "65536", "65537"},
	{"rss key analyse ms", "queues", "65536", "65537"},
	{"rss key analyse ms", "table", "65536", "65537"},
	{"rss key generate --symmetric", "length", "256", "257"},
	{"rss key generate --symmetric", "table", "65536", "65537"},
	{"rss key generate", "spread", "f:9-15", "f:10-16"},
	{"rss set eth0 --dry-run", "equal", "4", "5"},
	{"rss set eth0 --dry-run --equal 1", "start", "3", "4"},
	{"rss set eth0 --dry-run", "weight", "1,1,1,1", "1,1,1,1,1"},
	{"rss simulate", "ring", "65536", "65537"},
	{"rss simulate", "socket-queue", "65536", "65537"},
	{"rss simulate", "usecs", "1000000", "1000001"},
	{"rss simulate", "skew", "10", "10.000000000000002"},
	{"rss simulate", "elephant-share", "1", "1.0000000000000002"},
	{"rss simulate", "rate", "1e9", "1000000000.0000001"},
	{"rss simulate", "cores", "4", "5"},
	{"rss simulate", "app-share", "99", "100"},
	{"rss simulate", "packet-cost", "1s", "1.000000001s"},
	{"rss simulate", "app-cost", "1s", "1.000000001s"},
	{"rss simulate", "length", "65535", "65536"},
	{"rss simulate", "sweep", "load=0.1..0.2:1000", "load=0.1..0.2:1001"},
	{"monitor", "every", "4294967295", "4294967296"},
	{"replica add web 10.0.0.3:8080", "weight", "65535", "65536"},
}

// TestUpperBounds: a flag takes its upper bound, and refuses what is next to it with exit code 2.
func TestUpperBounds(t *testing.T) {
	w := newWorld(t)
	w.NICs = nictest.NewCard().Interfaces()
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	w.Write("c.pcap", nictest.Capture(20))
	w.Write("buckets.json", `{"buckets":[{"index":0,"queue":0,"packets":1,"flows":1}]}`)
	w.Write("observed.csv", "src,dst,queue\n192.0.2.1:1,192.0.2.2:2,0\n192.0.2.1:2,192.0.2.2:2,1\n")
	for _, b := range bounds {
		for value, taken := range map[string]bool{b.highest: true, b.next: false} {
			args := append(w.Line(b.line), fmt.Sprintf("--%s=%s", b.flag, value))
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // what takes the value ends when it begins to do something
			env := w.Environment(ctx, args...)
			var stderr strings.Builder
			env.Stderr = &stderr
			if code := w.RunIn(env); (code == cli.ExitUsage) == taken {
				t.Errorf("lbctl %s: exit %d: %s", strings.Join(args, " "), code, stderr.String())
			}
		}
	}
}
