// Package document has the commands on the intent as a whole: those that make a configuration file it (apply), say what that
// would do (plan, diff), have a user edit it (edit), or whether a file is right (check), write a first file (init), one made of another load balancer's (import)
// and the form that files have (schema), and those that show earlier revisions and go back to one (get revisions, rollback).
package document

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/steps"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/control/config"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
)

// Warn prints warnings about attached interfaces.
type Warn func(io.Writer, []api.Warning)

// Commands returns the commands of this package but GetRevisions.
func Commands(a *cli.App, warn Warn) []*cobra.Command {
	return []*cobra.Command{
		initCommand(a), checkCommand(a), schemaCommand(a), importCommand(a), applyCommand(a, warn), planCommand(a, warn), rollbackCommand(a, warn),
		diffCommand(a), editCommand(a, warn),
	}
}

func fileFlag(c *cobra.Command) *string {
	return c.Flags().StringP("file", "f", "", "the configuration file, YAML; - is stdin")
}

// readFile reads a configuration file and checks what it can without the daemon.
func readFile(a *cli.App, c *cobra.Command, name string) (*config.File, intent.Intent, error) {
	if name == "" {
		return nil, intent.Intent{}, cli.Usage(c, "missing -f FILE")
	}
	file, err := config.Read(c.Context(), name, a.Stdin)
	if err != nil {
		return nil, intent.Intent{}, err
	}
	i, err := wire.Resolve(file.Config, widest())
	return file, i, file.Locate(err)
}

// inFile adds to an error of the daemon the line and column of the field that it refuses.
func inFile(file *config.File, err error) error {
	var refused *client.Error
	if !errors.As(err, &refused) || len(refused.Problem.Errors) == 0 {
		return err
	}
	e := &intent.Error{}
	for _, f := range refused.Problem.Errors {
		field := strings.TrimPrefix(strings.TrimPrefix(f.Location, "body"), ".")
		hint := f.Hint
		if hint == "" {
			hint = refused.Hint()
		}
		e.Problems = append(e.Problems, lb.Problem{Field: field, Reason: f.Message, Hint: hint})
	}
	return file.Locate(e)
}

// change asks the daemon for a change and prints its steps.
func change(a *cli.App, ctx context.Context, f cli.Format, warn Warn, ask func(context.Context, *client.Client) (api.Change, error)) error {
	d := a.Client()
	defer d.Close()
	done, err := ask(ctx, d)
	if err != nil {
		return err
	}
	return a.Print(f, done, func(w io.Writer) {
		steps.Print(w, done)
		warn(w, done.Warnings)
	})
}
