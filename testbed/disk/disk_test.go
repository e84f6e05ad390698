package disk

import (
	"errors"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lbctl/bpf/need"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func slow(t *testing.T) *Disk {
	t.Helper()
	need.Root(t)
	d, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestReads: another process reads whole files, in no less than the time that their names say.
func TestReads(t *testing.T) {
	d := slow(t)
	const takes = 30 * time.Millisecond
	began := time.Now()
	out, err := exec.CommandContext(t.Context(), "dd", "bs=1M", "count=1", "status=none", "if="+d.Path(File(takes))).Output()
	check(t, err)
	if took := time.Since(began); len(out) != FileSize || took < takes {
		t.Errorf("%d bytes after %v, want %d after %v", len(out), took, FileSize, takes)
	}
	for _, missing := range []string{"nonsense", "-1s", "..."} {
		if err := exec.CommandContext(t.Context(), "cat", d.Path(missing)).Run(); err == nil {
			t.Errorf("%s was read", missing)
		}
	}
	check(t, d.Close())
}

// TestStuck: a read waits until it is released; none does after that.
func TestStuck(t *testing.T) {
	d := slow(t)
	read := func() *exec.Cmd {
		c := exec.CommandContext(t.Context(), "cat", d.Path(Stuck))
		check(t, c.Start())
		return c
	}
	first, second := read(), read()
	d.AwaitStuck(2)
	if n := d.Waiting(); n != 2 {
		t.Errorf("%d reads wait, want 2", n)
	}
	d.Release()
	check(t, errors.Join(first.Wait(), second.Wait(), read().Wait()))
	check(t, d.Close())
}

// TestKill: a reader that waits can be killed, and one that waits when the disk is closed ends with an error.
func TestKill(t *testing.T) {
	d := slow(t)
	c := exec.CommandContext(t.Context(), "cat", d.Path(Stuck))
	check(t, c.Start())
	d.AwaitStuck(1)
	check(t, c.Process.Kill())
	if err := c.Wait(); err == nil {
		t.Error("it was killed and ended well")
	}
	other := exec.CommandContext(t.Context(), "cat", d.Path(Stuck))
	check(t, other.Start())
	d.AwaitStuck(1)
	check(t, d.Close())
	if err := other.Wait(); err == nil {
		t.Error("its disk was closed and it ended well")
	}
}
