package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"lbctl/control/intent"
)

// written returns the bytes of a file with three revisions, and the last.
func written(t *testing.T) ([]byte, Revision) {
	t.Helper()
	dir := t.TempDir()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for n := range uint64(3) {
		if _, err := j.Append(t.Context(), n, sized(int(n)+1)); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	return text, j.latest
}

// bytesFile is a file in memory.
type bytesFile struct {
	handle
	fs.FileInfo
	text []byte
}

func (f bytesFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f bytesFile) Size() int64                { return int64(len(f.text)) }
func (f bytesFile) ReadAt(to []byte, at int64) (int, error) {
	return bytes.NewReader(f.text).ReadAt(to, at)
}

// read returns the latest revision of a file as a start reads it, or that it is damaged.
func read(t *testing.T, file []byte) (Revision, error) {
	t.Helper()
	j := &Journal{latest: Revision{Intent: intent.Default()}}
	err := j.read(bytesFile{text: file})
	if err != nil && !errors.Is(err, errDamaged) {
		t.Fatalf("%v, want one that it is damaged", err)
	}
	return j.latest, err
}

// A file that is cut short anywhere is an error.
func TestCutShort(t *testing.T) {
	file, _ := written(t)
	h, err := decode(file[:headerSize])
	if err != nil {
		t.Fatal(err)
	}
	for size := range len(file) {
		if size > int(h.end)+10 && size%509 != 0 {
			continue // in the room behind the records
		}
		if _, err := read(t, file[:size]); err == nil {
			t.Fatalf("%d of %d bytes were taken for a state", size, len(file))
		}
	}
}

// A bit that has turned is an error, or makes no difference; and so are sectors of zeros, of ones, and of another place.
func TestTurnedBitsAndLostSectors(t *testing.T) {
	file, want := written(t)
	check := func(about string, damaged []byte) {
		if got, err := read(t, damaged); err == nil && !same(got, want) {
			t.Fatalf("%s: revision %d of %s, want %d of %s", about, got.Number, got.Actor, want.Number, want.Actor)
		}
	}
	h, _ := decode(file[:headerSize])
	for bit := range 8 * len(file) {
		if bit/8 > headerSize && bit%11 != 0 || bit/8 > int(h.end) && bit%4099 != 0 {
			continue
		}
		damaged := slices.Clone(file[:])
		damaged[bit/8] ^= 1 << (bit % 8)
		check(fmt.Sprintf("bit %d of byte %d", bit%8, bit/8), damaged)
	}
	for at := 0; at < len(file); at += headerSize {
		for _, value := range []byte{0, 0xff, file[at]} {
			damaged := slices.Clone(file)
			copy(damaged[at:], slices.Repeat([]byte{value}, headerSize))
			check(fmt.Sprintf("%#x in the sector at %d", value, at), damaged)
		}
		damaged := slices.Clone(file)
		copy(damaged[at:at+headerSize], file[(at+headerSize)%len(file):])
		check(fmt.Sprintf("another sector at %d", at), damaged)
	}
}

// boltFile returns a file of the version before, with so many services that its trees have branches.
func boltFile(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bolt")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		head, err := tx.CreateBucket([]byte("intent"))
		if err != nil {
			return err
		}
		services, err := tx.CreateBucket([]byte("services"))
		if err != nil {
			return err
		}
		order := "["
		for n := range 120 {
			name := fmt.Sprintf("s%03d", n)
			text := fmt.Sprintf(`{"name":%q,"vip":"192.0.2.1:%d","mode":"nat","replicas":[{"address":"10.0.0.1:%d"}]}`, name, n+1, n+1)
			if err := services.Put([]byte(name), []byte(text)); err != nil {
				return err
			}
			order += fmt.Sprintf("%q,", name)
		}
		if err := head.Put([]byte("order"), []byte(order[:len(order)-1]+"]")); err != nil {
			return err
		}
		return head.Put([]byte("current"), []byte(`{"format":4,"revision":9,"config":{}}`))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// A damaged file of the version before, whose values have no checksums, ends no process.
func TestDamagedBoltFile(t *testing.T) {
	file := boltFile(t)
	want, err := read(t, file)
	if err != nil || want.Number != 9 || len(want.Intent.Services) != 120 {
		t.Fatalf("revision %d with %d services, %v", want.Number, len(want.Intent.Services), err)
	}
	for size := 0; size < len(file); size += 101 {
		if got, err := read(t, file[:size]); err == nil && !same(got, want) { // bbolt makes files larger than it needs
			t.Fatalf("%d of %d bytes are revision %d", size, len(file), got.Number)
		}
	}
	for bit := 0; bit < 8*len(file); bit += 149 {
		damaged := slices.Clone(file)
		damaged[bit/8] ^= 1 << (bit % 8)
		if got, err := read(t, damaged); err == nil {
			if err := got.Intent.Validate(); err != nil || got.Number == 0 {
				t.Fatalf("bit %d: revision %d, %v", bit, got.Number, err)
			}
		}
	}
}

// A file that was removed, replaced, cut or written to under the daemon fails the next change, and what was
// acknowledged stays; when the file is back, changes go on.
func TestTheFileIsDamagedUnderTheDaemon(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"removed":  os.Remove,
		"replaced": func(path string) error { return replace(path, func([]byte) []byte { return []byte("another") }) },
		"copied":   func(path string) error { return replace(path, func(text []byte) []byte { return text }) },
		"cut":      func(path string) error { return os.Truncate(path, 700) },
		"emptied":  func(path string) error { return os.Truncate(path, 0) },
		"a byte": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("?"), headerSize+5)
			return errors.Join(err, f.Close())
		},
		"a link": func(path string) error { return errors.Join(os.Rename(path, path+"1"), os.Symlink(path+"1", path)) },
		"the directory": func(path string) error {
			dir := filepath.Dir(path)
			return errors.Join(os.Rename(dir, dir+"1"), os.Mkdir(dir, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			j, err := Open(filepath.Join(t.TempDir(), "state"))
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			if _, err := j.Append(t.Context(), 0, sized(1)); err != nil {
				t.Fatal(err)
			}
			if err := harm(j.path); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if n, err := j.Append(t.Context(), 1, sized(2)); err == nil {
					t.Fatalf("revision %d is answered", n)
				}
			}
			if now, _ := j.Latest(t.Context()); now.Number != 1 || now.Actor != "1" {
				t.Errorf("the latest is revision %d of %s", now.Number, now.Actor)
			}
		})
	}
}

// replace puts a new file with other bytes in the place of one.
func replace(path string, other func([]byte) []byte) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(path+"1", other(text), 0o600), os.Rename(path+"1", path))
}
