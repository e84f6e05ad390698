package about

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"lbctl/cmd/cli"
	"lbctl/lb"
)

// mostBytes is how much is kept of each file, pieceTime how long is waited for it.
const (
	mostBytes = 8 << 20
	pieceTime = 15 * time.Second
)

// More are pieces that other commands print.
type More struct{ Status, Doctor Piece }

// Bundle returns lbctl support-bundle.
func Bundle(a *cli.App, pins func(*cobra.Command, *string), more More) *cobra.Command {
	var dir, file string
	c := &cobra.Command{
		Use:   "support-bundle",
		Short: "Collect what somebody who helps needs to see, in one archive",
		Long: `Write a tar.gz, mode 0600, with version and programs, configuration, revisions, status, services, replicas, interfaces,
counters, flows by replica, what was set by hand, events, the doctor's findings, the metrics page, the tables and programs that are
pinned, and facts of the kernel. What cannot be had, without a daemon for instance, is left out and named in errors.txt. manifest.json
has the time and all sizes. Of each file at most 8 MB are kept, and at most 15 seconds are waited for it.

Arguments of exec checks, what checks send and expect, and the queries of their paths are replaced by [redacted], wherever they occur;
tokens, keys and certificates are not read. Addresses and names are kept: look at it before you give it away. The daemon's log is in
the journal: journalctl -u lbctl.`,
		Example: `  lbctl support-bundle
  lbctl support-bundle -o /tmp/lb.tar.gz
  lbctl support-bundle -o - | ssh helper 'cat >lb.tar.gz'`,
		Args: cli.Takes(),
	}
	pins(c, &dir)
	c.Flags().StringVarP(&file, "out", "o", "", "where to write it; - is stdout (default lbctl-support-HOST-TIME.tar.gz, here)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		d := a.Client()
		defer d.Close()
		name := nameOf(a.Clock.Now())
		b := collect(c.Context(), a, d, name, pieces(d, dir, more))
		if err := c.Context().Err(); err != nil {
			return err
		}
		if file == "-" {
			return b.write(a.Stdout)
		}
		if file == "" {
			file = name + ".tar.gz"
		}
		if err := writeFile(file, b.write); err != nil {
			return err
		}
		fmt.Fprintf(a.Stdout, "%s: %s\n", file, cli.Many(len(b.files), "file"))
		if n := len(b.errors); n > 0 {
			fmt.Fprintf(a.Stderr, "%s could not be had: see errors.txt in it\n", cli.Many(n, "part"))
		}
		return nil
	}
	return c
}

func nameOf(now time.Time) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return "lbctl-support-" + strings.Map(func(r rune) rune {
		if r == '/' || r < ' ' {
			return '-'
		}
		return r
	}, host) + "-" + now.UTC().Format("20060102T150405Z")
}

// writeFile writes a new file that nobody else can read, whole or not at all.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return cli.Advise(fmt.Errorf("write %s: %w: it is there already", path, lb.ErrConflict), "name another file with -o")
	}
	if err != nil {
		return cli.Advise(lb.Denied(err), "name another file with -o")
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// write writes the archive.
func (b *bundle) write(w io.Writer) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	for _, f := range b.files {
		h := &tar.Header{Name: filepath.Join(b.name, f.Name), Mode: 0o600, Size: int64(len(f.text)), ModTime: b.now, Typeflag: tar.TypeReg}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(f.text); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}
