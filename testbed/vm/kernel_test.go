package vm

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// config is one with a cache of the test's own, that allows nothing to be fetched.
func config(t *testing.T) Config {
	t.Helper()
	return Config{Cache: t.TempDir(), Step: func(string) {}, Log: slog.New(slog.DiscardHandler)}
}

func TestKernelIsKeptAndFound(t *testing.T) {
	c := config(t)
	modules := []module{{"virtio", []byte("1")}, {"virtio_ring", []byte("2")}}
	for i, name := range []string{"linux-image-6.1.0-9_6.1", "linux-image-6.1.0-56_6.1", "linux-image-6.1.0-56_6.1"} {
		k, err := keep(c.Cache, name, []byte("image of "+name), modules)
		if err != nil {
			t.Fatal(err) // the second time, too
		}
		if err := os.Chtimes(k.image(), time.Time{}, time.Unix(int64(i), 0)); err != nil {
			t.Fatal(err)
		}
	}
	k, err := findKernel(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if want := "linux-image-6.1.0-56_6.1"; k.name() != want {
		t.Errorf("kernel %s, want that unpacked last, %s", k.name(), want)
	}
	image, err := os.ReadFile(k.image())
	if err != nil || string(image) != "image of "+k.name() {
		t.Errorf("image %q, %v", image, err)
	}
	got, err := k.modules()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range got {
		names = append(names, m.name+":"+string(m.content))
	}
	if diff := cmp.Diff([]string{"virtio:1", "virtio_ring:2"}, names); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}
	if left, _ := filepath.Glob(filepath.Join(c.Cache, ".*")); len(left) != 0 {
		t.Errorf("left in the cache: %v", left)
	}
}

// Without leave to fetch anything the error says what is missing.
func TestNothingIsFetchedWithoutLeave(t *testing.T) {
	if _, err := findKernel(t.Context(), config(t)); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), KernelPackage) {
		t.Errorf("find kernel: %v, want ErrMissing and the package's name", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := emulator(t.Context(), config(t)); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "apt-get install "+Package) {
		t.Errorf("find QEMU: %v, want ErrMissing and what to install", err)
	}
}

// Where there is no apt-get it cannot be installed: missing, too.
func TestInstallWithoutAPT(t *testing.T) {
	c := config(t)
	c.Install = true
	t.Setenv("PATH", t.TempDir())
	if _, err := emulator(t.Context(), c); !errors.Is(err, ErrMissing) {
		t.Errorf("install QEMU without apt-get: %v, want ErrMissing", err)
	}
	if _, err := findKernel(t.Context(), c); !errors.Is(err, ErrMissing) {
		t.Errorf("download a kernel without apt-cache: %v, want ErrMissing", err)
	}
}
