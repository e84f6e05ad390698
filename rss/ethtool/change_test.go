package ethtool

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss"
)

// settings are those of a NIC with four queues.
func settings(t *testing.T) Settings {
	t.Helper()
	k, name := played(t, "virtio_net.json")
	s, err := read(k, name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAfter(t *testing.T) {
	before := settings(t)
	after, err := before.After(Change{
		Table: &rss.TablePlan{Weights: []int{3, 1}}, Key: slices.Repeat(rss.Key{7}, 40), Fields: []FieldsOf{{UDP4, rss.FourTuple}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if after.Table[95] != 0 || after.Table[96] != 1 || after.Key[0] != 7 || after.Fields[UDP4] != rss.FourTuple || after.Fields[TCP6] != rss.Addresses {
		t.Errorf("after: %+v", after)
	}
	if diff := cmp.Diff(settings(t), before); diff != "" {
		t.Errorf("the settings before have changed:\n%s", diff)
	}
}

func TestAfterRefuses(t *testing.T) {
	symmetric := settings(t)
	symmetric.Transform = rss.SymmetricXOR
	keyless := settings(t)
	keyless.Key = nil
	for _, c := range []struct {
		name   string
		s      Settings
		change Change
		want   string
	}{
		{"a queue that is not there", settings(t), Change{Table: &rss.TablePlan{Equal: 5}}, "names queue 4: want 0 to 3"},
		{"a queue past the start", settings(t), Change{Table: &rss.TablePlan{Equal: 2, Start: 3}}, "names queue 4"},
		{"more weights than queues", settings(t), Change{Table: &rss.TablePlan{Weights: []int{1, 1, 1, 1, 1}}}, "names queue 4"},
		{"weights of nothing", settings(t), Change{Table: &rss.TablePlan{Weights: []int{0, 0}}}, "at least one weight above 0"},
		{"a longer key", settings(t), Change{Key: make(rss.Key, 52)}, "rss key of 52 bytes: eth0 (virtio_net) takes 40"},
		{"a key for a nic without", keyless, Change{Key: make(rss.Key, 40)}, "cannot be set"},
		{"ports of ip", settings(t), Change{Fields: []FieldsOf{{IP4, rss.FourTuple}}}, "it has no ports"},
		{"discard", settings(t), Change{Fields: []FieldsOf{{TCP4, rss.Discard}}}, "not settable"},
		{"a flow type that the nic does not tell", settings(t), Change{Fields: []FieldsOf{{"gtpu4", rss.Addresses}}}, "neither reports nor accepts them"},
		{"half a pair under symmetric-xor", symmetric, Change{Fields: []FieldsOf{{TCP4, rss.SourceAddress}}}, "with symmetric-xor want sd, fn or both"},
	} {
		if _, err := c.s.After(c.change); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := (Settings{Interface: "v", Driver: "veth", Queues: 2}).After(Change{Key: rss.MicrosoftKey()}); !errors.Is(err, ErrNoRSS) {
		t.Errorf("a veth: %v", err)
	}
}

func TestCommands(t *testing.T) {
	key := rss.MicrosoftKey()
	got := Change{
		Table: &rss.TablePlan{Equal: 3, Start: 1}, Key: key, Fields: []FieldsOf{{UDP4, rss.FourTuple}, {TCP6, 0}},
	}.Commands("eth0", 0)
	want := []string{
		"ethtool -X eth0 hkey " + key.String() + " start 1 equal 3",
		"ethtool -N eth0 rx-flow-hash udp4 sdfn",
		`ethtool -N eth0 rx-flow-hash tcp6 ""`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := (Change{Table: &rss.TablePlan{}}).Commands("eth0", 0); !slices.Equal(got, []string{"ethtool -X eth0 default"}) {
		t.Errorf("the default table: %q", got)
	}
}

func TestParseFieldsOf(t *testing.T) {
	if got, err := ParseFieldsOf("udp6=sdfn"); err != nil || got != (FieldsOf{UDP6, rss.FourTuple}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, wrong := range []string{"udp6", "udp7=sd", "udp4=xyz", "udp4=", "=sd"} {
		if got, err := ParseFieldsOf(wrong); err == nil {
			t.Errorf("%q: accepted as %v", wrong, got)
		}
	}
}

func TestModel(t *testing.T) {
	config, assumed, err := settings(t).Model()
	if err != nil || len(assumed) != 0 {
		t.Fatalf("%q, %v", assumed, err)
	}
	if config.TCP4 != rss.FourTuple || config.UDP4 != rss.Addresses || config.IP6 != rss.Addresses || config.Table.Queues() != 3 ||
		!slices.Equal(config.Key, rss.MicrosoftKey()) {
		t.Errorf("%+v", config)
	}
	quiet := settings(t)
	quiet.Functions, quiet.Fields = nil, map[FlowType]rss.Fields{TCP4: rss.FourTuple | rss.VLANTag, IP4: rss.FourTuple}
	config, assumed, err = quiet.Model()
	if err != nil || config.TCP4 != rss.FourTuple || config.IP4 != rss.Addresses || config.UDP4 != rss.FourTuple {
		t.Errorf("%+v, %v", config, err)
	}
	if text := strings.Join(assumed, "\n"); !strings.Contains(text, "toeplitz is assumed") || !strings.Contains(text, "udp4: sdfn is assumed") || !strings.Contains(text, "tcp4 is also hashed over v") {
		t.Errorf("assumed: %q", assumed)
	}
	quiet.Key = nil
	if _, _, err := quiet.Model(); err == nil {
		t.Error("a model without a key")
	}
	quiet.Table = nil
	if _, _, err := quiet.Model(); !errors.Is(err, ErrNoRSS) {
		t.Errorf("without a table: %v", err)
	}
}
