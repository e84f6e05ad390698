package store_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"lbctl/control/intent"
	"lbctl/control/store"
	"lbctl/control/store/storetest"
	"lbctl/lb"
)

// before is a record as it was written when services recorded no flows and replicas had
// no state.
const before = `{"format":1,"revision":7,"config":{` +
	`"datapath":{"toeplitz_key":"6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa",` +
	`"limits":{"services":1024,"replicas":16384,"slots":4194304}},"interfaces":[],"services":[` +
	`{"name":"web","vip":"192.0.2.1:80","protocol":"tcp","mode":"nat","scheduler":"modulo","hash":"jhash",` +
	`"replicas":[{"address":"10.0.0.1:80","weight":1},{"address":"10.0.0.2:80","weight":1}]},` +
	`{"name":"dns","vip":"192.0.2.1:53","protocol":"udp","mode":"nat","scheduler":"maglev","hash":"jhash","table_size":65537,` +
	`"replicas":[{"address":"10.0.0.1:53","weight":3}]}]}}`

// inThree is the same in format 3: services have entries of their own.
func inThree() (head string, services map[string]string) {
	list := regexp.MustCompile(`"services":\[(\{"name":"web".*\]\}),(\{"name":"dns".*\})\]\}\}`)
	all := list.FindStringSubmatch(before)
	head = list.ReplaceAllString(strings.Replace(before, `"format":1`, `"services":["web","dns"],"format":3`, 1), `"services":[]}}`)
	return head, map[string]string{"web": all[1], "dns": all[2], "gone": "{}"}
}

// TestOlderFormats: what a record does not say has its default, and the next revision makes the file
// one of the present format, in which the old one can be read still.
func TestOlderFormats(t *testing.T) {
	three, services := inThree()
	for name, c := range map[string]struct {
		head     string
		services map[string]string
	}{
		"1": {before, nil},
		"2": {strings.Replace(before, `"format":1`, `"format":2`, 1), nil},
		"3": {three, services},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, filepath.Join(dir, "state.db"), c.head, c.services)
			s := open(t, dir)
			r, err := s.Latest(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			checkBefore(t, r)
			if _, err := s.Append(t.Context(), 7, store.Revision{Intent: storetest.Intent(2), Entry: store.Entry{Actor: "test"}}); err != nil {
				t.Fatal(err)
			}
			s.Close()
			s = open(t, dir)
			if was, err := s.Revision(t.Context(), 7); err != nil || !was.Intent.Equal(r.Intent) {
				t.Errorf("revision 7 in the present format: %+v, %v", was, err)
			}
			if all, err := s.History(t.Context(), 0); err != nil || len(all) != 2 || all[0].Actor != "test" || all[1].Number != 7 {
				t.Errorf("history %+v, %v", all, err)
			}
		})
	}
}

func checkBefore(t *testing.T, r store.Revision) {
	t.Helper()
	if r.Number != 7 || len(r.Intent.Services) != 2 || r.Intent.Datapath.Limits != lb.DefaultLimits {
		t.Fatalf("loaded %+v", r)
	}
	web, dns := r.Intent.Services[0], r.Intent.Services[1]
	if web.Tracking != lb.TrackChanges || web.Idle != 10*time.Minute || web.TableSize != 2 || web.Replicas[0].State != lb.Active {
		t.Errorf("web = %+v", web)
	}
	if dns.Tracking != lb.TrackAlways || dns.Idle != 2*time.Minute || dns.Replicas[0].Weight != 3 {
		t.Errorf("dns = %+v", dns)
	}
}

// asFormat writes another format into the header of a file.
func asFormat(t *testing.T, path string, format int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), " header ")
	first = regexp.MustCompile(`^lbctl state \d+`).ReplaceAllString(first, fmt.Sprintf("lbctl state %d", format))
	copy(text, fmt.Sprintf("%s header %08x\n", first, crc32.Checksum([]byte(first), crc32.MakeTable(crc32.Castagnoli))))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestMoreFlowsBefore: of the limit of an older build, which took more flows, is left what this one takes.
func TestMoreFlowsBefore(t *testing.T) {
	dir := t.TempDir()
	limit := fmt.Sprintf(`"slots":4194304,"flows":%d}`, 2*lb.MaxFlows)
	put(t, filepath.Join(dir, "state.db"), strings.Replace(before, `"slots":4194304}`, limit, 1), nil)
	r, err := open(t, dir).Latest(t.Context())
	if err != nil || r.Intent.Datapath.Limits.Flows != lb.MaxFlows || len(r.Intent.Services) != 2 {
		t.Errorf("%+v, %v; want %d flows", r, err, lb.MaxFlows)
	}
}

// TestFormatsBefore: files of format 5, before overrides, and 6, before pools, are read, and are of the present format after the next
// revision, so that no program that would forget these reads it.
func TestFormatsBefore(t *testing.T) {
	for _, format := range []int{5, 6} {
		t.Run(fmt.Sprint(format), func(t *testing.T) { formatBefore(t, format) })
	}
}

func formatBefore(t *testing.T, format int) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	s := open(t, dir)
	i := storetest.Intent(2)
	if _, err := s.Append(t.Context(), 0, store.Revision{Intent: i}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	asFormat(t, path, format)
	s = open(t, dir)
	r, err := s.Latest(t.Context())
	if err != nil || !r.Intent.Equal(i) {
		t.Fatalf("%+v, %v", r, err)
	}
	next, _ := i.WithPool(intent.Pool{Name: "backends", Replicas: i.Services[1].AllReplicas()})
	next.Services = slices.Clone(next.Services)
	second := *next.Services[1]
	second.Pool, next.Services[1] = "backends", &second
	at := intent.Target{Service: "s1", Replica: i.Services[1].Replicas[0].Address}
	next, err = next.WithOverride(at, intent.Override{SetsState: true, State: lb.Down})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), 1, store.Revision{Intent: next}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if text, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(text), "lbctl state 7 ") {
		t.Errorf("%.20q, %v; want format 7", text, err)
	}
	s = open(t, dir)
	if r, err := s.Latest(t.Context()); err != nil || !r.Intent.Equal(next) || r.Intent.Overrides[at].State != lb.Down || r.Intent.Services[1].Pool != "backends" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := s.Revision(t.Context(), 1); err != nil || !r.Intent.Equal(i) {
		t.Errorf("the revision before: %+v, %v", r, err)
	}
	s.Close()
	asFormat(t, path, 8)
	if _, err := store.Open(dir); !errors.Is(err, lb.ErrConflict) || !strings.Contains(err.Error(), "format 8") {
		t.Errorf("a later format: %v, want lb.ErrConflict", err)
	}
}

func TestUnknownFormat(t *testing.T) {
	for _, format := range []string{"0", "5"} {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "state.db"), strings.Replace(before, `"format":1`, `"format":`+format, 1), nil)
		if _, err := store.Open(dir); !errors.Is(err, lb.ErrConflict) || !strings.Contains(err.Error(), "format "+format) {
			t.Errorf("format %s: %v, want lb.ErrConflict", format, err)
		}
	}
}

// TestAStateThatLacksAService: half a state is none.
func TestAStateThatLacksAService(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "state.db"), strings.Replace(before, `{"format":1`, `{"services":["web"],"format":3`, 1), nil)
	if _, err := store.Open(dir); !errors.Is(err, lb.ErrConflict) || !strings.Contains(err.Error(), "web") {
		t.Errorf("%v, want lb.ErrConflict about web", err)
	}
}

// TestAStateThatLacksAPool: nor is one whose services use a pool that it lacks, whatever has made it so.
func TestAStateThatLacksAPool(t *testing.T) {
	for _, less := range []string{`"pool_order":["backends"],`, `"pools":{"backends":{"name":"backends","replicas":[]}},`} {
		text := `{"revision":1,"config":{},"pool_order":["backends"],"pools":{"backends":{"name":"backends","replicas":[]}},"order":["web"],"services":{"web":{"name":"web","vip":"192.0.2.1:80","pool":"backends"}}}`
		for _, whole := range []bool{true, false} {
			if !whole {
				text = strings.Replace(text, less, "", 1)
			}
			dir := t.TempDir()
			write(t, filepath.Join(dir, "state.db"), text+"\n")
			s, err := store.Open(dir)
			switch {
			case whole && err != nil:
				t.Error(err)
			case whole:
				s.Close()
			case !errors.Is(err, lb.ErrConflict) || !strings.Contains(err.Error(), "backends"):
				t.Errorf("%v, want lb.ErrConflict about backends", err)
			}
		}
	}
}

// write writes a file of records without the package.
func write(t *testing.T, path, records string) {
	t.Helper()
	sum := func(text string) uint32 { return crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli)) }
	head := fmt.Sprintf("lbctl state 7 revision 1 end %d size %d records %08x", 512+len(records), 512+len(records), sum(records))
	head = fmt.Sprintf("%s header %08x\n", head, sum(head))
	if err := os.WriteFile(path, []byte(head+strings.Repeat("\x00", 512-len(head))+records), 0o600); err != nil {
		t.Fatal(err)
	}
}

// put writes a record and its services without the package.
func put(t *testing.T, path, record string, services map[string]string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for bucket, all := range map[string]map[string]string{"intent": {"current": record}, "services": services} {
			if all == nil {
				continue
			}
			b, err := tx.CreateBucket([]byte(bucket))
			if err != nil {
				return err
			}
			for key, text := range all {
				if err := b.Put([]byte(key), []byte(text)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
