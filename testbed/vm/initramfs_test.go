package vm

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
