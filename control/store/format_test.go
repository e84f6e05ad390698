package store_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"lbctl/lb"
)

// before is a record as it was written when services remembered no flows and replicas had
// no state.
const before = `{"format":1,"revision":7,"config":{` +
	`"datapath":{"toeplitz_key":"6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa",` +
	`"limits":{"services":1024,"replicas":16384,"slots":4194304}},"interfaces":[],"services":[` +
	`{"name":"web","vip":"192.0.2.1:80","protocol":"tcp","mode":"nat","scheduler":"modulo","hash":"jhash",` +
	`"replicas":[{"address":"10.0.0.1:80","weight":1},{"address":"10.0.0.2:80","weight":1}]},` +
	`{"name":"dns","vip":"192.0.2.1:53","protocol":"udp","mode":"nat","scheduler":"maglev","hash":"jhash","table_size":65537,` +
	`"replicas":[{"address":"10.0.0.1:53","weight":3}]}]}}`

// TestLoadOfAnOlderRecord: what it does not say has its default.
func TestLoadOfAnOlderRecord(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "state.db"), before)
	r, err := open(t, dir).Load()
	if err != nil {
		t.Fatal(err)
	}
	if r.Revision != 7 || len(r.Intent.Services) != 2 || r.Intent.Datapath.Limits != lb.DefaultLimits {
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

func TestLoadOfAnUnknownFormat(t *testing.T) {
	for _, format := range []string{"0", "4"} {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "state.db"), strings.Replace(before, `"format":1`, `"format":`+format, 1))
		if _, err := open(t, dir).Load(); !errors.Is(err, lb.ErrInvalid) {
			t.Errorf("format %s: %v, want lb.ErrInvalid", format, err)
		}
	}
}

// put writes a record without the package.
func put(t *testing.T, path, record string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("intent"))
		if err != nil {
			return err
		}
		return b.Put([]byte("current"), []byte(record))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
