package document

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/config"
	"lbctl/control/wire"
)

func diffCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "diff -f FILE",
		Short: "Show in which lines a file differs from what is in effect",
		Long: `Show in which lines a file, with every default written out, differs from lbctl get config. What apply would keep of
what the file leaves out is no difference. Nothing is changed. The differences are printed by diff -u, or by the command in
LBCTL_DIFF, which is given two files.

Exit codes: 0 no difference, 1 there is one, above 1 an error, as of every command.`,
		Example: `  lbctl diff -f lb.yaml
  lbctl diff -f lb.yaml >/dev/null || lbctl apply -f lb.yaml
  LBCTL_DIFF='colordiff -u' lbctl diff -f lb.yaml`,
		Args: cli.Takes(),
	}
	name := fileFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		now, next, revision, err := bothSides(a, c, *name)
		if err != nil {
			return err
		}
		if bytes.Equal(now, next) {
			return nil
		}
		return printDiff(a, c.Context(), fmt.Sprintf("revision-%d", revision), now, filepath.Base(*name), next)
	}
	return c
}

// bothSides returns the configuration in effect, and what it would be with the file.
func bothSides(a *cli.App, c *cobra.Command, name string) (now, next []byte, revision uint64, err error) {
	file, _, err := readFile(a, c, name)
	if err != nil {
		return nil, nil, 0, err
	}
	d := a.Client()
	defer d.Close()
	doc, revision, err := d.Config(c.Context())
	if err != nil {
		return nil, nil, 0, err
	}
	before, err := wire.Resolve(doc, widest())
	if err != nil {
		return nil, nil, 0, err
	}
	after, err := wire.Resolve(file.Config, before)
	if err != nil {
		return nil, nil, 0, file.Locate(err)
	}
	if now, err = config.Write(wire.Config(before)); err != nil {
		return nil, nil, 0, err
	}
	next, err = config.Write(wire.Config(after))
	return now, next, revision, err
}

// errDiffers is the error of two sides that differ.
var errDiffers = &cli.Failure{Code: cli.ExitFailed, What: "the file differs from what is in effect", Do: "lbctl plan -f FILE says what applying it would do"}

func printDiff(a *cli.App, ctx context.Context, left string, now []byte, right string, next []byte) error {
	dir, err := os.MkdirTemp("", "lbctl-diff")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if right == "-" || right == left {
		right = "file"
	}
	for name, text := range map[string][]byte{left: now, right: next} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	command := a.Getenv("LBCTL_DIFF")
	if command == "" {
		command = "diff -u"
	}
	run := exec.CommandContext(ctx, "/bin/sh", "-c", command+` "$@"`, "diff", left, right)
	run.Dir, run.Stdout, run.Stderr = dir, a.Stdout, a.Stderr
	err = run.Run()
	var ended *exec.ExitError
	if err == nil || errors.As(err, &ended) && ended.ExitCode() == 1 {
		return errDiffers
	}
	return cli.Advise(fmt.Errorf("print the differences with %q: %w", command, err), "install diff, or name a command with LBCTL_DIFF")
}
