package safedir_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lbctl/control/safedir"
	"lbctl/lb"
)

// makeDir returns a directory of a mode below one of another mode.
func makeDir(t *testing.T, above, mode os.FileMode) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "above", "dir")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(dir, mode), os.Chmod(filepath.Dir(dir), above)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPrivate(t *testing.T) {
	for name, c := range map[string]struct {
		above, mode os.FileMode
		says        string
	}{
		"private":                    {0o700, 0o700, ""},
		"readable":                   {0o755, 0o755, ""},
		"in a sticky directory":      {0o777 | os.ModeSticky, 0o700, ""},
		"the group can write":        {0o700, 0o770, "chmod go-w "},
		"everybody can write":        {0o700, 0o777, "chmod go-w "},
		"everybody can make files":   {0o700, 0o777 | os.ModeSticky, "chmod go-w "},
		"everybody can take it away": {0o777, 0o700, "chmod o-w "},
	} {
		refused(t, name, safedir.Private(makeDir(t, c.above, c.mode)), c.says)
	}
	dir := makeDir(t, 0o700, 0o700)
	link := filepath.Join(filepath.Dir(dir), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	refused(t, "a link", safedir.Private(link), "name the directory itself")
	refused(t, "a link with a slash", safedir.Private(link+"/"), "name the directory itself")
	if os.Getuid() == 0 {
		if err := os.Chown(dir, 4711, 4711); err != nil {
			t.Fatal(err)
		}
		refused(t, "another user's", safedir.Private(dir), "chown")
	}
}

// Others may make files in a shared directory, and not take away those of this user.
func TestShared(t *testing.T) {
	for name, c := range map[string]struct {
		above, mode os.FileMode
		owner       int
		says        string
	}{
		"private":                    {0o700, 0o700, 0, ""},
		"everybody can make files":   {0o700, 0o777 | os.ModeSticky, 0, ""},
		"everybody can write":        {0o700, 0o777, 0, "chmod go-w "},
		"everybody can take it away": {0o777, 0o777 | os.ModeSticky, 0, "chmod o-w "},
		"another user's":             {0o700, 0o777 | os.ModeSticky, 4711, "chown"},
	} {
		dir := makeDir(t, c.above, c.mode)
		if c.owner != 0 {
			if os.Getuid() != 0 {
				continue
			}
			if err := os.Chown(dir, c.owner, c.owner); err != nil {
				t.Fatal(err)
			}
		}
		refused(t, name, safedir.Shared(dir), c.says)
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(dir, link); err != nil {
			t.Fatal(err)
		}
		refused(t, "a link to it, "+name, safedir.Shared(link), c.says)
	}
}

// A link on the path is no harm, but leads to a directory that may be.
func TestLinkOnThePath(t *testing.T) {
	for above, says := range map[os.FileMode]string{0o700: "", 0o777: "chmod o-w "} {
		dir, link := makeDir(t, above, 0o700), filepath.Join(t.TempDir(), "link")
		private := filepath.Join(link, "private")
		if err := errors.Join(os.Symlink(dir, link), os.Mkdir(private, 0o700)); err != nil {
			t.Fatal(err)
		}
		refused(t, "below a link, above "+above.String(), safedir.Private(private), says)
	}
}

// What is no ordinary file may be somebody else's, or never end.
func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	file, link, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink(file, link), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, pipe, dir} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, path, safedir.File(path, info), "move it away")
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for mode, says := range map[os.FileMode]string{0o600: "", 0o644: "", 0o660: "chmod go-w ", 0o606: "chmod go-w "} {
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, mode.String(), safedir.File(path, info), says)
	}
}

// refused checks that an error says what to do; "" wants none.
func refused(t *testing.T, about string, err error, says string) {
	t.Helper()
	var e *safedir.Error
	switch is := errors.As(err, &e); {
	case says == "" && err != nil:
		t.Errorf("%s: %v", about, err)
	case says != "" && (!is || !errors.Is(err, lb.ErrDenied) || !strings.HasPrefix(e.Hint(), says)):
		t.Errorf("%s: %v, want one whose hint is %q", about, err, says)
	}
}
