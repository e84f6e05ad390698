package observe

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Auto takes the first possible mode, and notes what was refused.
func TestOpen(t *testing.T) {
	index := device(t)
	for mode, want := range map[Mode]Mode{Auto: Native, Native: Native, Generic: Generic, Socket: Socket, "": Native} {
		o, err := Open(index, Options{Mode: mode})
		if err != nil {
			t.Fatalf("mode %q: %v", mode, err)
		}
		if o.Mode() != want || o.AsksHash() != (want != Generic) || len(o.Notes()) != 0 {
			t.Errorf("mode %q: stands in mode %q, asks for the hash %v, notes %q", mode, o.Mode(), o.AsksHash(), o.Notes())
		}
		if err := o.Close(); err != nil {
			t.Error("close:", err)
		}
	}
}

// Whatever was opened is closed again.
func TestCloseLeavesNothing(t *testing.T) {
	index := device(t)
	descriptors := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	for _, mode := range []Mode{Native, Generic, Socket} {
		var before int
		for range 3 { // the runtime opens its own at first use
			before = descriptors()
			o, err := Open(index, Options{Mode: mode, Samples: DefaultSamples})
			if err != nil {
				t.Fatal(err)
			}
			if err := o.Detach(); err != nil {
				t.Error("detach:", err)
			}
			if _, err := o.Totals(); err != nil {
				t.Error("read after detach:", err)
			}
			if err := o.Close(); err != nil {
				t.Error("close:", err)
			}
		}
		if after := descriptors(); after != before {
			t.Errorf("mode %s: %d descriptors open, before %d", mode, after, before)
		}
	}
}

// If another program is attached, auto observes on a socket and notes it; the other modes fail.
func TestOpenOccupied(t *testing.T) {
	index := device(t)
	other, err := Alone(index, link.XDPDriverMode, 16)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, mode := range []Mode{Native, Generic} {
		if o, err := Open(index, Options{Mode: mode}); err == nil {
			t.Errorf("mode %s: a second program on one interface", mode)
			_ = o.Close()
		}
	}
	o, err := Open(index, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if o.Mode() != Socket || len(o.Notes()) != 3 || !strings.Contains(o.Notes()[1], "not native: attach the observer") {
		t.Errorf("stands in mode %s, notes %q", o.Mode(), o.Notes())
	}
}

func TestOpenDenied(t *testing.T) {
	index := device(t)
	// The capabilities are the thread's, which ends with the test.
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(index, Options{}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("without capabilities: %v", err)
	}
}

func TestOpenNoInterface(t *testing.T) {
	device(t)
	if o, err := Open(1<<20, Options{}); err == nil {
		t.Error("observes an interface that does not exist")
		_ = o.Close()
	}
}
