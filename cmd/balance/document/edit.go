package document

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/control/config"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
)

func editCommand(a *cli.App, warn Warn) *cobra.Command {
	c := &cobra.Command{
		Use:   "edit",
		Short: "Change what is in effect in an editor",
		Long: `Open what lbctl get config prints in an editor (LBCTL_EDITOR, VISUAL or EDITOR, else vi) and apply what is saved. A text
that is wrong is opened again, with what is wrong at its top; left as it was, it ends the command with exit code 2. An
unchanged text changes nothing. If somebody else changes the configuration meanwhile, nothing is applied (exit code 4). A text
that was not applied is kept in a file.`,
		Example: `  lbctl edit
  EDITOR=nano lbctl edit --dry-run`,
		Args: cli.Takes(),
	}
	dry := dryFlag(c)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		d := a.Client()
		defer d.Close()
		doc, revision, err := d.Config(c.Context())
		if err != nil {
			return err
		}
		text, err := config.Write(doc)
		if err != nil {
			return err
		}
		e := &editing{app: a, client: d, revision: revision, dry: *dry}
		done, err := e.run(c.Context(), text)
		if err != nil || done == nil {
			return err
		}
		return change(a, c.Context(), *f, warn, func(context.Context, *client.Client) (api.Change, error) { return *done, nil })
	}
	return c
}

// editing is one run of the command.
type editing struct {
	app      *cli.App
	client   *client.Client
	revision uint64
	dry      bool
	// file is what the editor opens.
	file string
}

// headLines are the lines above the text, however long the error in them is: so its line numbers stay.
const headLines = 4

// head returns them.
func (e *editing) head(wrong error) string {
	lines := []string{fmt.Sprintf("lbctl edit: revision %d. Save and leave the editor to apply it;", e.revision), "leave the text as it is to change nothing.", "", ""}
	if wrong != nil {
		lines[2], lines[3] = "WRONG: "+cli.OneLine(wrong.Error()), ""
		var hinted interface{ Hint() string }
		if errors.As(wrong, &hinted) {
			lines[3] = cli.OneLine(hinted.Hint())
		}
	}
	return "# " + strings.Join(lines, "\n# ") + "\n"
}

// run returns what was changed, nil if nothing was to be.
func (e *editing) run(ctx context.Context, original []byte) (*api.Change, error) {
	temporary, err := os.CreateTemp("", "lbctl-edit-*.yaml")
	if err != nil {
		return nil, err
	}
	e.file = temporary.Name()
	temporary.Close()
	text, wrong := original, error(nil)
	for {
		edited, err := e.edit(ctx, wrong, text)
		switch {
		case err != nil:
			return nil, err
		case bytes.Equal(edited, original):
			fmt.Fprintln(e.app.Stderr, "lbctl: nothing is changed")
			return nil, os.Remove(e.file)
		case wrong != nil && bytes.Equal(edited, text):
			return nil, e.kept(wrong)
		}
		text = edited
		done, err := e.apply(ctx, text)
		var again *again
		switch {
		case err == nil:
			return &done, os.Remove(e.file)
		case !errors.As(err, &again):
			return nil, e.kept(err)
		}
		wrong = again.error
	}
}

// edit has the user edit a text.
func (e *editing) edit(ctx context.Context, wrong error, text []byte) ([]byte, error) {
	if err := os.WriteFile(e.file, append([]byte(e.head(wrong)), text...), 0o600); err != nil {
		return nil, err
	}
	editor := "vi"
	for _, name := range []string{"EDITOR", "VISUAL", "LBCTL_EDITOR"} {
		if named := e.app.Getenv(name); named != "" {
			editor = named
		}
	}
	run := exec.CommandContext(ctx, "/bin/sh", "-c", editor+` "$1"`, "edit", e.file)
	run.Stdin, run.Stdout, run.Stderr = e.app.Stdin, e.app.Stdout, e.app.Stderr
	if err := run.Run(); err != nil {
		return nil, cli.Advise(fmt.Errorf("edit with %q: %w", editor, err), "nothing was changed; the text is in %s", e.file)
	}
	edited, err := os.ReadFile(e.file)
	if err != nil {
		return nil, err
	}
	for range headLines {
		if bytes.HasPrefix(edited, []byte("#")) {
			_, edited, _ = bytes.Cut(edited, []byte("\n"))
		}
	}
	return edited, nil
}

// again is what is wrong with a text that its user can correct.
type again struct{ error }

// apply makes a text the intent, at the revision that was edited.
func (e *editing) apply(ctx context.Context, text []byte) (done api.Change, err error) {
	file, err := config.Parse("edit", append(bytes.Repeat([]byte("#\n"), headLines), text...))
	if err != nil {
		return done, &again{err}
	}
	if _, err := wire.Resolve(file.Config, widest()); err != nil {
		return done, &again{file.Locate(err)}
	}
	apply := e.client.ApplyAt
	if e.dry {
		apply = e.client.PlanAt
	}
	done, err = apply(ctx, file.Config, e.revision)
	if errors.Is(err, lb.ErrInvalid) {
		return done, &again{inFile(file, err)}
	}
	return done, err
}

// kept says where a text is that was not applied.
func (e *editing) kept(err error) error {
	return cli.Advise(err, "nothing was changed; the text is in %s: lbctl diff -f %s", e.file, e.file)
}

// widest is an intent with the largest limits: only the daemon knows its own.
func widest() intent.Intent {
	i := intent.Default()
	i.Datapath.Limits = lb.Limits{Services: 1 << 16, Replicas: 1 << 20, Slots: 1 << 27, Flows: lb.MaxFlows, SourceRanges: 1 << 20}
	return i
}
