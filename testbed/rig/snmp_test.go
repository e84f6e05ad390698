package rig_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lbctl/testbed/netns"
)

// retransmitted returns how many segments TCP sent again in a namespace (RetransSegs, RFC 4022).
func retransmitted(tb testing.TB, ns *netns.Namespace) int {
	tb.Helper()
	var text []byte
	check(tb, ns.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/snmp")
		return err
	}))
	var names []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if fields[0] != "Tcp:" {
			continue
		}
		if names == nil { // the first line names, the second counts
			names = fields
			continue
		}
		n, err := strconv.Atoi(fields[slices.Index(names, "RetransSegs")])
		check(tb, err)
		return n
	}
	tb.Fatal("no Tcp in /proc/net/snmp")
	return 0
}
