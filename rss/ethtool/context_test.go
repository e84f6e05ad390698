package ethtool

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"lbctl/rss"
)

// card is a kernel and a NIC with room for two contexts besides its own, 0: what net/ethtool/rss.c and ioctl.c of Linux 6.18
// do with a driver that has a table for each context, and neither key nor fields. No such NIC was at hand.
type card struct {
	// old is a kernel without the messages.
	old    bool
	tables map[Context]rss.Table
	// busy is a context that a flow rule names.
	busy Context
}

func (k *card) message(command uint8, b []byte) ([]byte, error) {
	a, err := parseAttributes(b)
	if err != nil || k.old {
		return nil, errors.Join(err, unix.EOPNOTSUPP)
	}
	c := Context(a.number(rssContext))
	table, err := decodeTable(a[rssTable])
	if err != nil {
		return nil, err
	}
	if _, known := k.tables[c]; !known {
		return nil, unix.ENOENT
	}
	switch {
	case command == messageRSSCreate && a[rssFlowHash] != nil:
		return nil, unix.EINVAL // the policy does not know it
	case a[rssFlowHash] != nil, c != 0 && a[rssKey] != nil:
		return nil, unix.EOPNOTSUPP
	case command == messageRSSCreate:
		if c, err = k.create(table); err != nil {
			return nil, err
		}
		return k.answer(c), nil
	case command == messageRSSDelete:
		return nil, k.remove(c)
	case command == messageRSSSet && len(table) == 0:
		return nil, unix.EINVAL
	case command == messageRSSSet:
		k.tables[c] = table
		return nil, nil
	}
	return k.answer(c), nil
}

// answer is what RSS_GET says of a context, and RSS_CREATE_ACT of the one that it made.
func (k *card) answer(c Context) []byte {
	var entries []byte
	for _, q := range k.tables[c] {
		entries = native.AppendUint32(entries, uint32(q))
	}
	b := header("eth0")
	if c == 0 {
		b = attribute(appendAttribute(b, rssKey, rss.MicrosoftKey()), rssFunction, 1)
	} else {
		b = attribute(b, rssContext, uint32(c))
	}
	return appendAttribute(b, rssTable, entries)
}

func (k *card) create(table rss.Table) (Context, error) {
	for c := Context(1); c < 3; c++ {
		if _, known := k.tables[c]; !known {
			k.tables[c] = table
			return c, nil
		}
	}
	return 0, unix.EBUSY
}

func (k *card) remove(c Context) error {
	if k.busy == c {
		return unix.EBUSY
	}
	delete(k.tables, c)
	return nil
}

func (k *card) dump(uint8, []byte) (all [][]byte, err error) {
	for _, c := range slices.Sorted(maps.Keys(k.tables)) {
		all = append(all, k.answer(c))
	}
	return all, nil
}

func (k *card) ioctl(_ string, b []byte) error {
	c := contextOf(b)
	table, known := k.tables[c]
	if native.Uint32(b) != getRSS && native.Uint32(b) != setRSS {
		return unix.EOPNOTSUPP
	}
	if c != NewContext && !known {
		return unix.ENOENT
	}
	entries, key := rssSizes(b)
	if native.Uint32(b) == getRSS {
		if entries > 0 {
			copy(b, ofContext(encodeRSS(getRSS, uint32(len(table)), table, 40, 0), c))
			copy(b[len(b)-40:], rss.MicrosoftKey())
		}
		native.PutUint32(b[8:], uint32(len(table)))
		native.PutUint32(b[12:], 40)
		return nil
	}
	set, err := decodeTable(b[rssLength : len(b)-key])
	switch {
	case c == NewContext && err == nil:
		c, err = k.create(set)
		ofContext(b, c)
	case entries == 0 && c != 0:
		return k.remove(c)
	case err == nil:
		k.tables[c] = set
	}
	return err
}

// newCard returns a NIC of two queues, and what is read of it.
func newCard(t *testing.T, old bool) (*card, Settings) {
	t.Helper()
	k := &card{old: old, tables: map[Context]rss.Table{0: {1, 1, 0, 1}}}
	s, err := read(k, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	s.Queues = 2
	return k, s
}

// Contexts are created, read, changed and deleted, by messages and by ioctl.
func TestContexts(t *testing.T) {
	for name, old := range map[string]bool{"netlink": false, "ioctl": true} {
		t.Run(name, func(t *testing.T) {
			k, s := newCard(t, old)
			fresh, err := readContext(k, s, NewContext)
			if err != nil {
				t.Fatal(err)
			}
			for want, c := range []Change{{}, {Table: &rss.TablePlan{Start: 1, Equal: 1}}} {
				if got, err := create(k, fresh, c); got != Context(want+1) || err != nil {
					t.Errorf("create: %v, %v", got, err)
				}
			}
			one, err := readContext(k, s, 1)
			if err != nil || one.Context != 1 || !slices.Equal(one.Key, rss.MicrosoftKey()) {
				t.Fatalf("context 1: %+v, %v", one, err)
			}
			if err := apply(k, one, Change{Entries: rss.Table{1, 0, 0, 0}}); err != nil {
				t.Error(err)
			}
			want := map[Context]rss.Table{0: {1, 1, 0, 1}, 1: {1, 0, 0, 0}, 2: {1, 1, 1, 1}}
			if diff := cmp.Diff(want, k.tables); diff != "" {
				t.Errorf("tables -want +got:\n%s", diff)
			}
			if _, err := create(k, fresh, Change{}); err == nil || !strings.Contains(err.Error(), "no room for another one") {
				t.Errorf("a third: %v", err)
			}
			k.busy = 2
			if err := remove(k, s, 2); err == nil || !strings.Contains(err.Error(), "flow rules name it") {
				t.Errorf("delete one that is in use: %v", err)
			}
			if err := remove(k, s, 1); err != nil || len(k.tables) != 2 {
				t.Errorf("delete: %v, %v", err, k.tables)
			}
			if err := remove(k, s, 1); !errors.Is(err, ErrNoContext) {
				t.Errorf("delete again: %v", err)
			}
			if _, err := readContext(k, s, 1); !errors.Is(err, ErrNoContext) {
				t.Errorf("read what was deleted: %v", err)
			}
		})
	}
}

// A kernel that lists contexts has them read with the interface; what a context has not of its own is the interface's.
func TestContextsAreListed(t *testing.T) {
	k, _ := newCard(t, false)
	k.tables[1], k.tables[2] = rss.Table{0, 0, 0, 0}, rss.Table{1, 1, 1, 1}
	s, err := read(k, "eth0")
	if err != nil || len(s.Contexts) != 2 || s.Contexts[1].Context != 2 || !slices.Equal(s.Contexts[1].Table, rss.Table{1, 1, 1, 1}) {
		t.Fatalf("%+v, %v", s.Contexts, err)
	}
	if of := s.Contexts[0]; !slices.Equal(of.Key, s.Key) || !slices.Equal(of.Functions, s.Functions) || of.Contexts != nil {
		t.Errorf("context 1 of %+v: %+v", s, of)
	}
}

// What is impossible leaves no context behind, and never deletes one.
func TestContextsRefused(t *testing.T) {
	for name, old := range map[string]bool{"netlink": false, "ioctl": true} {
		k, s := newCard(t, old)
		s.Fields[TCP4] = rss.Addresses
		fresh, err := readContext(k, s, NewContext)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := create(k, fresh, Change{Fields: []FieldsOf{{TCP4, rss.FourTuple}}}); !errors.Is(err, ErrRefused) || len(k.tables) != 1 {
			t.Errorf("%s: fields of a context: %v, tables %v", name, err, k.tables)
		}
		k.tables[1] = rss.Table{1, 1, 1, 1}
		one, err := readContext(k, s, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := apply(k, one, Change{Table: &rss.TablePlan{}}); err == nil || !strings.Contains(err.Error(), "want equal 2") || len(k.tables) != 2 {
			t.Errorf("%s: the default table of a context: %v, tables %v", name, err, k.tables)
		}
	}
	if _, err := create(deaf{unix.EOPNOTSUPP}, small(), Change{}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "has no additional contexts") {
		t.Errorf("a driver without contexts: %v", err)
	}
}

func TestContextCommands(t *testing.T) {
	c := Change{Table: &rss.TablePlan{Equal: 2}, Fields: []FieldsOf{{TCP4, rss.FourTuple}}}
	for want, got := range map[string][]string{
		"ethtool -X eth0 context new equal 2\nethtool -N eth0 rx-flow-hash tcp4 sdfn context new": c.Commands("eth0", NewContext),
		"ethtool -X eth0 context 3 equal 2\nethtool -N eth0 rx-flow-hash tcp4 sdfn context 3":     c.Commands("eth0", 3),
		"ethtool -X eth0 context new": Change{}.Commands("eth0", NewContext),
	} {
		if strings.Join(got, "\n") != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	whole := Change{Entries: rss.Table{1, 0}}
	if got := whole.Commands("eth0", 3)[1]; got != `ynl --family ethtool --do rss-set --json '{"context":3,"header":{"dev-name":"eth0"},"indir":[1,0]}'` {
		t.Error(got)
	}
	if got := whole.Commands("eth0", NewContext)[1]; got != `ynl --family ethtool --do rss-create-act --json '{"header":{"dev-name":"eth0"},"indir":[1,0]}'` {
		t.Error(got)
	}
}
