package observe

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lbctl/rss/packet"
)

// sampling opens an observer that takes samples.
func sampling(t *testing.T, index int, options Options) *Observer {
	t.Helper()
	o, err := Open(index, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return o
}

// taken reads the samples that are there.
func taken(t *testing.T, o *Observer) (all []Sample) {
	t.Helper()
	for {
		s, err := o.Sample(time.Now())
		if errors.Is(err, ErrNoSample) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
}

// The first packet of a plain flow is a sample, and every packet without a flow.
func TestSamples(t *testing.T) {
	index := device(t)
	o := sampling(t, index, Options{Mode: Generic, Samples: DefaultSamples})
	plain := packet.Frame{Flow: flow("192.0.2.1:1", "192.0.2.2:2")}.Marshal()
	options := packet.Frame{Flow: flow("192.0.2.1:1", "192.0.2.2:2"), Options: []byte{1, 1, 1, 0}}.Marshal()
	long := packet.Frame{Flow: flow("192.0.2.1:1", "192.0.2.2:2"), Tags: []packet.Tag{{ID: 7}}, Payload: make([]byte, 700)}.Marshal()
	other := make([]byte, 14) // the shortest frame that there is
	for _, frame := range [][]byte{plain, options, plain, options, long, other} {
		arrive(t, o.program, index, 2, frame)
	}
	want := []Sample{
		{Frame: plain, Bytes: len(plain), Queue: 2, Recorded: true},
		{Frame: options, Bytes: len(options), Queue: 2},
		{Frame: options, Bytes: len(options), Queue: 2},
		{Frame: long[:MaxSample], Bytes: len(long), Queue: 2},
		{Frame: other, Bytes: len(other), Queue: 2},
	}
	if diff := cmp.Diff(want, taken(t, o), cmpopts.IgnoreFields(Sample{}, "CPU")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	totals, err := o.Totals()
	if want := (Totals{Recorded: 2, Sampled: 4}); err != nil || totals != want || totals.All() != 6 {
		t.Errorf("totals %+v, %v, want %+v", totals, err, want)
	}
}

func TestEveryPacket(t *testing.T) {
	index := device(t)
	o := sampling(t, index, Options{Mode: Generic, Samples: DefaultSamples, EveryPacket: true})
	frame := packet.Frame{Flow: flow("192.0.2.1:1", "192.0.2.2:2")}.Marshal()
	for range 3 {
		arrive(t, o.program, index, 1, frame)
	}
	if got := taken(t, o); len(got) != 3 || got[2].Recorded {
		t.Errorf("%d samples, want each packet's: %+v", len(got), got)
	}
	if s, err := o.Sightings(); err != nil || len(s) != 0 {
		t.Errorf("sightings %v, %v, want none", s, err)
	}
}

// A slow reader loses samples, but they are counted.
func TestSamplesLost(t *testing.T) {
	index := device(t)
	o := sampling(t, index, Options{Mode: Generic, Samples: 1})
	frame := packet.Frame{Flow: flow("192.0.2.1:1", "192.0.2.2:2"), Options: []byte{1, 1, 1, 0}}.Marshal()
	const sent = 100
	for range sent {
		arrive(t, o.program, index, 0, frame)
	}
	kept := uint64(len(taken(t, o)))
	totals, err := o.Totals()
	if want := (Totals{Sampled: kept, NoFlow: sent - kept}); err != nil || totals != want || kept == 0 || kept == sent {
		t.Errorf("totals %+v, %v, want %+v", totals, err, want)
	}
}

func TestNoSamples(t *testing.T) {
	o := sampling(t, device(t), Options{})
	if _, err := o.Sample(time.Now()); err == nil || errors.Is(err, ErrNoSample) {
		t.Errorf("an observer that was asked for none: %v", err)
	}
}

func TestRetag(t *testing.T) {
	f := packet.Frame{Flow: flow("192.0.2.1:1", "192.0.2.2:2")}
	bare := f.Marshal()
	f.Tags = []packet.Tag{{ID: 7}}
	if got := retag(slices.Clone(bare), 7); !slices.Equal(got, f.Marshal()) {
		t.Errorf("% x, want % x", got, f.Marshal())
	}
	if got := retag([]byte{1, 2}, 7); !slices.Equal(got, []byte{1, 2}) {
		t.Errorf("a stump: % x", got)
	}
}

func TestDecodeSampleRefuses(t *testing.T) {
	if _, err := decodeSample(make([]byte, 20)); err == nil {
		t.Error("20 bytes were taken for a sample")
	}
}
