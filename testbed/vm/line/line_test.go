package line_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/rss/packet"
	"lbctl/testbed/vm/line"
)

// What one end writes the other reads: every kind of message, one after the other.
func TestMessagesArrive(t *testing.T) {
	settings := line.Settings{Hash: true, RSS: ethtool.Settings{
		Interface: "eth0", Driver: "virtio_net", Queues: 3, Key: rss.MicrosoftKey(), Table: rss.Table{2, 1, 0},
		Channels: &ethtool.Channels{Combined: 3, MaxCombined: 4}, Functions: []rss.Function{rss.FunctionToeplitz},
		Fields: map[ethtool.FlowType]rss.Fields{ethtool.TCP4: rss.FourTuple, ethtool.IP6: 0}, By: "ioctl",
	}}
	messages := []line.Message{
		{Hello: &line.Hello{Kernel: "6.1", MAC: packet.MAC{2, 1: 7}, Settings: settings}},
		{Change: &line.Change{Queues: 3, Hash: true, RSS: ethtool.Change{
			Table: &rss.TablePlan{Start: 1, Weights: []int{1, 2}}, Key: rss.MicrosoftKey(),
			Fields: []ethtool.FieldsOf{{Type: ethtool.UDP4, Fields: rss.Addresses}},
		}}},
		{Settings: &settings},
		{Seen: []line.Sighting{{Tag: 0xffffffff, Queue: 3, Hash: 0x51ccc178}, {}}},
		{Run: line.Command{"/ethtool", "-x", "eth0"}},
		{Ran: &line.Ran{Output: "no\n", Failed: "exit status 1"}},
		{Order: json.RawMessage(`{"begin":"eth0"}`)},
		{Answer: json.RawMessage(`[1,2]`)},
		{Failed: "set channels to 9: invalid argument"},
	}
	var wire bytes.Buffer
	for _, m := range messages {
		if err := line.Write(&wire, m); err != nil {
			t.Fatal(err)
		}
	}
	r := line.NewReader(&wire)
	for _, want := range messages {
		got, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("message (-sent +read):\n%s", diff)
		}
	}
	if _, err := r.Read(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v, want EOF", err)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, said := range map[string]string{
		"a kernel's words": "[    0.1] Kernel panic\n",
		"half a message":   `{"seen":[{"t":1`,
		"no end":           strings.Repeat("x", 1<<21),
	} {
		if m, err := line.NewReader(strings.NewReader(said)).Read(); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: read %+v, %v; want an error", name, m, err)
		}
	}
}
