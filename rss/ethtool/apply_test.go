package ethtool

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"lbctl/rss"
)

// scribe accepts settings, records their order, and fails where it should.
type scribe struct {
	netlink unix.Errno // of RSS_SET
	fails   map[string]unix.Errno
	log     []string
}

func (s *scribe) message(command uint8, b []byte) ([]byte, error) {
	s.log = append(s.log, fmt.Sprintf("message %d %s", command, hex.EncodeToString(b)))
	if s.netlink != 0 {
		return nil, s.netlink
	}
	return nil, nil
}

func (s *scribe) dump(uint8, []byte) ([][]byte, error) { return nil, unix.EOPNOTSUPP }

func (s *scribe) ioctl(_ string, b []byte) error {
	var what string
	switch native.Uint32(b) {
	case setFields:
		what = fmt.Sprintf("fields %d %v", native.Uint32(b[4:]), rss.Fields(decodeFields(b)))
	case setRSS:
		entries, key := rssSizes(b)
		what = fmt.Sprintf("rss table %#x key %d %x", entries, key, b[rssLength:])
	default:
		what = fmt.Sprintf("command %#x", native.Uint32(b))
	}
	s.log = append(s.log, what)
	if errno := s.fails[what]; errno != 0 {
		return errno
	}
	return nil
}

// small has a table of two entries, so that one can read what is sent.
func small() Settings {
	return Settings{
		Interface: "eth0", Queues: 4, Table: rss.Table{0, 1}, Key: make(rss.Key, 40),
		Fields: map[FlowType]rss.Fields{TCP4: rss.Addresses, UDP4: rss.Addresses},
	}
}

var bothFields = []FieldsOf{{TCP4, rss.FourTuple}, {UDP4, rss.FourTuple}}

// On Linux 6.17 and later it is one message; on older kernels the same by ioctl.
func TestApplyByNetlink(t *testing.T) {
	k := &scribe{}
	change := Change{Table: &rss.TablePlan{Equal: 1, Start: 3}, Fields: []FieldsOf{{TCP4, rss.FourTuple}}}
	if err := apply(k, small(), change); err != nil {
		t.Fatal(err)
	}
	want := []string{"message 48 " +
		"10000180" + "0900020065746830" + "00000000" + // header: device name "eth0"
		"0c000400" + "0300000003000000" + // table
		"0c000880" + "08000400" + "f0000000"} // fields of tcp4
	if diff := cmp.Diff(want, k.log); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Any table, the function and the transform, by netlink and by ioctl.
func TestApplyWhole(t *testing.T) {
	function, transform := rss.FunctionXOR, rss.SymmetricXOR
	change := Change{Entries: rss.Table{3, 1}, Function: &function, Transform: &transform}
	k := &scribe{}
	if err := apply(k, small(), change); err != nil {
		t.Fatal(err)
	}
	want := []string{"message 48 " + "10000180" + "0900020065746830" + "00000000" +
		"08000300" + "02000000" + "08000600" + "01000000" + "0c000400" + "0300000001000000"}
	if diff := cmp.Diff(want, k.log); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	after, err := small().After(change)
	if err != nil {
		t.Fatal(err)
	}
	b := encodeKeyAndTable(after, change)
	if got := hex.EncodeToString(b); got != "47000000"+"00000000"+"02000000"+"00000000"+"0201"+"000000000000"+"0300000001000000" {
		t.Errorf("by ioctl: %s", got)
	}
	sided := small()
	sided.Fields[UDP4] = rss.FourTuple &^ rss.DestinationPort
	for want, c := range map[string]struct {
		s Settings
		c Change
	}{
		"of 3 entries: eth0 (": {small(), Change{Entries: rss.Table{0, 1, 2}}},
		"names queue 4":        {small(), Change{Entries: rss.Table{0, 4}}},
		"want sd, fn or both":  {sided, Change{Transform: &transform}},
	} {
		if _, err := c.s.After(c.c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestApplyByIoctl(t *testing.T) {
	for _, c := range []struct {
		name   string
		change Change
		want   []string
	}{
		{"fields, then table", Change{Table: &rss.TablePlan{Equal: 1, Start: 3}, Fields: bothFields},
			[]string{"fields 1 sdfn", "fields 2 sdfn", "rss table 0x2 key 0 0300000003000000"}},
		{"key alone", Change{Key: append(make(rss.Key, 39), 9)},
			[]string{"rss table 0xffffffff key 40 " + strings.Repeat("00", 39) + "09"}},
		{"default table", Change{Table: &rss.TablePlan{}}, []string{"rss table 0x0 key 0 "}},
		{"nothing", Change{}, nil},
	} {
		k := &scribe{netlink: unix.EOPNOTSUPP}
		if err := apply(k, small(), c.change); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		got := k.log[min(1, len(k.log)):] // behind the message that was refused
		if diff := cmp.Diff(c.want, got); diff != "" && len(c.want)+len(got) > 0 {
			t.Errorf("%s: -want +got:\n%s", c.name, diff)
		}
	}
}

// A change that fails half way is undone.
func TestApplyUndoes(t *testing.T) {
	const table = "rss table 0x2 key 0 0300000003000000"
	for _, c := range []struct {
		name  string
		fails map[string]unix.Errno
		want  []string
		cause error
		left  string // in the error, of what could not be put back
	}{
		{"the second fields", map[string]unix.Errno{"fields 2 sdfn": unix.EINVAL},
			[]string{"fields 1 sdfn", "fields 2 sdfn", "fields 1 sd"}, ErrRefused, ""},
		{"the table", map[string]unix.Errno{table: unix.EPERM},
			[]string{"fields 1 sdfn", "fields 2 sdfn", table, "fields 1 sd", "fields 2 sd"}, unix.EPERM, ""},
		{"and the way back", map[string]unix.Errno{table: unix.EINVAL, "fields 1 sd": unix.EIO},
			[]string{"fields 1 sdfn", "fields 2 sdfn", table, "fields 1 sd", "fields 2 sd"}, ErrRefused, "restore hash fields of tcp4 to sd"},
	} {
		k := &scribe{netlink: unix.EOPNOTSUPP, fails: c.fails}
		err := apply(k, small(), Change{Table: &rss.TablePlan{Equal: 1, Start: 3}, Fields: bothFields})
		if !errors.Is(err, c.cause) || !strings.Contains(err.Error(), c.left) {
			t.Errorf("%s: %v, want %v", c.name, err, c.cause)
		}
		if diff := cmp.Diff(c.want, k.log[1:]); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.name, diff)
		}
	}
}

// The kernel sets the fields of one message one after the other, too: when it fails they are set as they were.
func TestApplyByNetlinkUndoes(t *testing.T) {
	k := &scribe{netlink: unix.EIO}
	err := apply(k, small(), Change{Table: &rss.TablePlan{Equal: 1}, Fields: []FieldsOf{{TCP4, rss.FourTuple}}})
	if !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), "restore hash fields: ") || len(k.log) != 2 ||
		!strings.HasSuffix(k.log[1], "0c000880"+"08000400"+"30000000") {
		t.Errorf("%v, after %q", err, k.log)
	}
	k = &scribe{netlink: unix.EIO}
	if err := apply(k, small(), Change{Key: make(rss.Key, 40)}); !errors.Is(err, unix.EIO) || len(k.log) != 1 {
		t.Errorf("without fields: %v, after %q", err, k.log)
	}
}

// An impossible change is refused before the kernel is asked, and a lack of privilege is not retried by ioctl.
func TestApplyValidatesFirst(t *testing.T) {
	k := &scribe{}
	if err := apply(k, small(), Change{Table: &rss.TablePlan{Equal: 1, Start: 4}}); err == nil || len(k.log) != 0 {
		t.Errorf("%v, after %q", err, k.log)
	}
	k.netlink = unix.EPERM
	if err := apply(k, small(), Change{Key: make(rss.Key, 40)}); !errors.Is(err, unix.EPERM) || len(k.log) != 1 {
		t.Errorf("%v, after %q", err, k.log)
	}
}
