package vm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	_, cache := c.kernels()
	if err := os.Mkdir(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	modules := []module{{"virtio", []byte("1")}, {"virtio_ring", []byte("2")}}
	for i, name := range []string{"linux-image-6.1.0-9_6.1", "linux-image-6.1.0-56_6.1", "linux-image-6.1.0-56_6.1"} {
		k, err := keep(cache, name, []byte("image of "+name), modules)
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
	if left, _ := filepath.Glob(filepath.Join(cache, ".*")); len(left) != 0 {
		t.Errorf("left in the cache: %v", left)
	}
	c.Kernel = "linux-image-6.12-cloud-amd64"
	if k, err := findKernel(t.Context(), c); !errors.Is(err, ErrMissing) {
		t.Errorf("kernel of another package: %v, %v, want ErrMissing", k, err)
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

// The bytes of an archive with one file, by the definition of the format.
func TestArchiveBytes(t *testing.T) {
	var b bytes.Buffer
	a := &archive{w: &b}
	a.file("init", 0o755, []byte("hello"))
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	want := "070701" + "00000001" + "000081ED" + "00000000" + "00000000" + "00000001" + "00000000" + "00000005" +
		"00000000" + "00000000" + "00000000" + "00000000" + "00000005" + "00000000" + "init\x00" + "\x00" + // 110+5, to 116
		"hello\x00\x00\x00" +
		"070701" + "00000002" + "00000000" + "00000000" + "00000000" + "00000001" + "00000000" + "00000000" +
		"00000000" + "00000000" + "00000000" + "00000000" + "0000000B" + "00000000" + "TRAILER!!!\x00" + "\x00\x00\x00" // 110+11, to 124
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
}

// What cpio, where it is installed, finds in an archive.
func TestArchiveIsCPIO(t *testing.T) {
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("needs cpio, for a second opinion")
	}
	var b bytes.Buffer
	a := &archive{w: &b}
	addFolders(a, "/usr/lib64", map[string]bool{})
	a.file("usr/lib64/x", 0o644, make([]byte, 5))
	a.device("null", 1, 3)
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), cpio, "-itv", "--numeric-uid-gid", "--quiet")
	c.Stdin = &b
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"drwxr-xr-x", "usr/lib64\n", "-rw-r--r--", " 5 ", "usr/lib64/x\n", "crw-------", "1,   3", "null\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("cpio lists no %q:\n%s", want, out)
		}
	}
}

// An error of the writer is the archive's.
func TestArchiveSaysWhatWentWrong(t *testing.T) {
	a := &archive{w: full{}}
	a.folder("dev")
	a.file("x", 0o644, nil)
	if err := a.close(); err == nil || err.Error() != "full" {
		t.Errorf("close: %v, want full", err)
	}
}

// boots returns the head of an image whose payload, from its third sector on, is packed, and its length behind it.
func boots(packed []byte) []byte {
	image := make([]byte, 3*512)
	image[0x1f1] = 1 // and the boot sector
	copy(image[0x202:], "HdrS")
	binary.LittleEndian.PutUint32(image[0x248:], 512)
	binary.LittleEndian.PutUint32(image[0x24c:], uint32(len(packed)+4))
	return append(append(image, packed...), 1, 2, 3, 4)
}

// A kernel that xz packed is taken out of its image; any other image stays.
func TestUnpackImage(t *testing.T) {
	xz, err := exec.LookPath("xz")
	if err != nil {
		t.Skip("needs xz")
	}
	pack := func(kernel string) []byte {
		c := exec.CommandContext(t.Context(), xz, "-c", "--check=crc32")
		c.Stdin = strings.NewReader(kernel)
		packed, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		return packed
	}
	if got := unpackImage(t.Context(), boots(pack("\x7fELF kernel"))); string(got) != "\x7fELF kernel" {
		t.Errorf("unpacked %q", got)
	}
	long := boots(pack("\x7fELF kernel"))
	binary.LittleEndian.PutUint32(long[0x24c:], 1<<20)
	for what, image := range map[string][]byte{
		"no image": []byte("\x7fELF"), "another packer": boots([]byte("\x28\xb5\x2f\xfd")), "no kernel in it": boots(pack("text")),
		"cut short": long, "damaged": boots([]byte("\xfd7zXZ\x00...")),
	} {
		if got := unpackImage(t.Context(), image); !bytes.Equal(got, image) {
			t.Errorf("%s: changed", what)
		}
	}
}

// Only kernels that are built for any machine have the drivers of hardware.
func TestWanted(t *testing.T) {
	for name, want := range map[string]bool{KernelPackage: false, PlainKernel: true} {
		if got := slices.Contains(wanted(name), "e1000"); got != want {
			t.Errorf("%s: e1000 wanted: %v", name, got)
		}
	}
}
