package encode_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"lbctl/control/api"
	"lbctl/control/rest/encode"
)

// TestJSON: every answer is the text that encoding/json writes of it.
func TestJSON(t *testing.T) {
	five, replica := int64(5), api.Replica{Address: "10.1.0.1:80", Weight: new(int64)}
	for _, v := range []any{
		api.Services{}, api.Services{Services: []api.Service{}}, api.Services{Next: "a<b>&\u2028", Services: []api.Service{{Name: "web", Replicas: []api.Replica{replica}}, {}}},
		api.Traffic{Replicas: []api.ReplicaTraffic{{Replica: replica, FlowEvents: api.FlowEvents{NewFlows: 3}, Health: &api.ReplicaHealth{Since: time.Unix(1, 0), StartingPercent: &five},
			ByHand: api.ByHand{Override: &api.Override{}, DrainPhase: "draining"}, NextHop: &api.ReplicaHop{NextHop: api.NextHop{Interface: "eth0"}}}, {}}},
		api.Config{}, api.Config{Interfaces: []api.Interface{}, Services: []api.Service{{SourceRanges: []string{"::/0"}}}}, api.Counters{}, api.Change{},
		api.ServiceStatus{}, &api.Services{}, api.Probe{Frame: []byte{}}, api.Probe{Frame: []byte{1}}, api.Status{}, api.Problem{Detail: "<"}, 5, nil, []api.Service{{}},
		struct{}{}, struct{ Untagged int }{1}, struct {
			N int `json:"n,string"`
		}{2}, struct {
			At    time.Time `json:"at,omitzero"`
			Empty struct{}  `json:"empty,omitempty"`
			No    bool      `json:"no,omitempty"`
		}{},
	} {
		var want, got bytes.Buffer
		reference := json.NewEncoder(&want)
		reference.SetEscapeHTML(false)
		if err := errors.Join(reference.Encode(v), encode.JSON(&got, v)); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Errorf("%T: %s want %s", v, &got, &want)
		}
	}
}

// TestParts: a list that is made while it is encoded, and what is encoded already, are as if they were values.
func TestParts(t *testing.T) {
	type parts struct {
		List encode.List[api.Replica] `json:"list"`
		Text encode.Text              `json:"text"`
		Next string                   `json:"next,omitempty"`
	}
	for _, all := range [][]api.Replica{{}, {{Address: "10.1.0.1:80"}}, {{Address: "10.1.0.1:80"}, {State: "<"}, {}}} {
		var want, got bytes.Buffer
		list := func(yield func(*api.Replica)) {
			var r api.Replica
			for _, r = range all {
				yield(&r)
			}
		}
		err := encode.JSON(&want, struct {
			List []api.Replica `json:"list"`
			Text []int         `json:"text"`
		}{all, []int{1, 2}})
		if err := errors.Join(err, encode.JSON(&got, parts{List: list, Text: encode.Text("[1,2]")})); err != nil || got.String() != want.String() {
			t.Errorf("%s, %v, want %s", &got, err, &want)
		}
	}
}

// TestJSONHoldsLittle: the text of a long list is written in pieces, and a reader that goes ends it.
func TestJSONHoldsLittle(t *testing.T) {
	long := api.Services{Services: make([]api.Service, 10_000)}
	largest, total := 0, 0
	err := encode.JSON(writerFunc(func(p []byte) (int, error) {
		largest, total = max(largest, len(p)), total+len(p)
		return len(p), nil
	}), long)
	if err != nil || total < 200_000 || largest > 128<<10 {
		t.Errorf("%d bytes at once of %d, error %v", largest, total, err)
	}
	writes := 0
	err = encode.JSON(writerFunc(func([]byte) (int, error) { writes++; return 0, io.ErrClosedPipe }), long)
	if !errors.Is(err, io.ErrClosedPipe) || writes != 1 {
		t.Errorf("a closed pipe: %v after %d writes", err, writes)
	}
	if err := encode.JSON(io.Discard, struct {
		F func() `json:"f"`
	}{}); err == nil || !strings.Contains(err.Error(), "func()") {
		t.Errorf("what cannot be encoded: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
