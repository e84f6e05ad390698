package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lbctl/control/intent"
	"lbctl/lb"
)

// failure is what becomes of a call that fails.
type failure int

const (
	notDone  failure = iota // nothing was done
	allDone                 // it was done, and the disk says otherwise
	halfDone                // half of a write was done: the file system is full
)

// badDisk is a disk whose calls fail from one on, a number of times. It knows what a crash of the machine
// would lose: sectors that were not synced, or whose sync has failed, and names.
type badDisk struct {
	realDisk
	calls, from, times int
	how                failure
	files              []*badFile
	renamed            string // the file that was replaced last, if its directory was not synced since
	replaced           bool   // whether there was one
}

// fails counts a call and tells whether it fails.
func (d *badDisk) fails() bool {
	d.calls++
	return d.calls > d.from && d.calls <= d.from+d.times
}

const sectorSize = 512

// badFile is a file, or a directory, of a bad disk.
type badFile struct {
	handle
	disk *badDisk
	dir  bool
	// lost are the sectors that a crash may lose, as they were before.
	lost map[int64]*sector
}

type sector struct {
	was []byte
	// clean: a sync has failed. Linux takes the pages for written then, and the next sync writes nothing.
	clean bool
}

func (d *badDisk) Open(path string, flags int) (handle, error) {
	if d.fails() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: unix.EIO}
	}
	f, err := d.realDisk.Open(path, flags)
	if err != nil {
		return nil, err
	}
	b := &badFile{handle: f, disk: d, dir: flags&os.O_RDWR == 0, lost: map[int64]*sector{}}
	d.files = append(d.files, b)
	return b, nil
}

func (d *badDisk) Rename(from, to string) error {
	fails := d.fails()
	if fails && d.how == notDone {
		return unix.EIO
	}
	err := os.Link(to, to+".before")
	d.renamed, d.replaced = to, err == nil
	if err := d.realDisk.Rename(from, to); err != nil || !fails {
		return err
	}
	return unix.EIO
}

func (f *badFile) WriteAt(text []byte, at int64) (int, error) {
	fails := f.disk.fails()
	done := text
	switch {
	case fails && f.disk.how == notDone:
		return 0, unix.EIO
	case fails && f.disk.how == halfDone:
		done = text[:len(text)/2]
	}
	for s := at / sectorSize; s*sectorSize < at+int64(len(done)); s++ {
		if f.lost[s] == nil {
			was := make([]byte, sectorSize)
			n, _ := f.handle.ReadAt(was, s*sectorSize) // less at the end of the file
			f.lost[s] = &sector{was: was[:n]}
		}
		f.lost[s].clean = false
	}
	if n, err := f.handle.WriteAt(done, at); err != nil || !fails {
		return n, err
	}
	if f.disk.how == halfDone {
		return len(done), unix.ENOSPC
	}
	return 0, unix.EIO
}

func (f *badFile) Sync() error {
	if f.disk.fails() {
		for _, s := range f.lost {
			s.clean = true
		}
		return unix.EIO
	}
	for at, s := range f.lost {
		if !s.clean {
			delete(f.lost, at)
		}
	}
	if f.dir && f.disk.renamed != "" {
		if f.disk.replaced {
			_ = os.Remove(f.disk.renamed + ".before")
		}
		f.disk.renamed = ""
	}
	return nil
}

func (f *badFile) Close() error { return nil } // a crash comes before

// crash loses some of what the disk need not have.
func (d *badDisk) crash(t *testing.T, random *rand.Rand) {
	t.Helper()
	for _, f := range d.files {
		for at, s := range f.lost {
			if random.IntN(2) == 0 {
				if _, err := f.handle.WriteAt(s.was, at*sectorSize); err != nil {
					t.Fatal(err)
				}
			}
		}
		f.handle.Close()
	}
	if d.renamed == "" || random.IntN(2) == 0 {
		return
	}
	var err error
	if d.replaced {
		err = os.Rename(d.renamed+".before", d.renamed)
	} else {
		err = os.Remove(d.renamed)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// changes are the sizes, in kB, of revisions that follow each other. The larger ones need a larger file.
var changes = []int{1, 2, 70, 3, 200, 4}

// sized returns a revision that takes n kB, and differs from those of other sizes.
func sized(n int) Revision {
	i := intent.Default().WithInterface(intent.Interface{Name: fmt.Sprint("eth", n), Mode: lb.Auto})
	return Revision{Entry: Entry{Actor: fmt.Sprint(n), Reason: strings.Repeat("x", n<<10)}, Intent: i}
}

// Whatever call of the disk fails, how often and how, and whatever a crash of the machine loses then: what was acknowledged
// is there, and what was refused is not, unless the disk fails for ever.
func TestEveryCallOfTheDiskFails(t *testing.T) {
	all := runOn(t, &badDisk{}, 0)
	if all.acknowledged != uint64(len(changes)+1) {
		t.Fatalf("revision %d without a fault", all.acknowledged)
	}
	t.Logf("%d calls", all.calls)
	for from := range all.calls {
		for _, times := range []int{1, 2, 1 << 30} {
			for _, how := range []failure{notDone, allDone, halfDone} {
				runOn(t, &badDisk{from: from, times: times, how: how}, uint64(from*100+times+int(how)))
			}
		}
	}
}

type outcome struct {
	calls        int
	acknowledged uint64
}

// runOn makes the changes on a disk, which then crashes, and opens the store on a good one.
func runOn(t *testing.T, d *badDisk, seed uint64) outcome {
	t.Helper()
	dir := t.TempDir()
	about := fmt.Sprintf("calls %d to %d fail (%v)", d.from, d.from+d.times, d.how)
	var last, refused Revision // refused: one that the disk may have, because it could not be taken back
	if j, err := open(dir, d); err == nil {
		for _, n := range changes {
			r := sized(n)
			r.Number = last.Number + 1
			switch _, err = j.Append(t.Context(), last.Number, r); {
			case err == nil:
				last, refused = r, Revision{}
			case errors.Is(err, unix.ENOSPC) && !errors.Is(err, lb.ErrFull):
				t.Fatalf("%s: %v, want lb.ErrFull", about, err)
			case refused.Number == 0 && j.unsure:
				refused = r
			}
			if now, _ := j.Latest(t.Context()); !same(now, last) {
				t.Fatalf("%s: the latest is revision %d of %s, acknowledged is %d of %s", about, now.Number, now.Actor, last.Number, last.Actor)
			}
		}
		if r := sized(9); d.calls >= d.from+d.times {
			if r.Number, err = j.Append(t.Context(), last.Number, r); err != nil {
				t.Fatalf("%s: the disk is well again: %v", about, err)
			}
			last, refused = r, Revision{}
		}
		j.lock.Close()
	}
	d.crash(t, rand.New(rand.NewPCG(seed, 0)))
	j, err := open(dir, &badDisk{})
	if err != nil {
		t.Fatalf("%s: %v", about, err)
	}
	defer j.Close()
	now, _ := j.Latest(t.Context())
	if !same(now, last) && !(refused.Number != 0 && same(now, refused)) {
		t.Fatalf("%s: found revision %d of %s, acknowledged is %d of %s", about, now.Number, now.Actor, last.Number, last.Actor)
	}
	if _, err := j.Append(t.Context(), now.Number, last); err != nil {
		t.Fatalf("%s: the next change: %v", about, err)
	}
	return outcome{d.calls, last.Number}
}

func same(a, b Revision) bool {
	return a.Number == b.Number && (a.Number == 0 || a.Entry == b.Entry && a.Intent.Equal(b.Intent))
}
