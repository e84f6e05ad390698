package document

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/lb"
)

// example is a configuration file with every field in it, explained.
//
//go:embed example.yaml
var example []byte

// Example is a configuration file with every field in it, explained.
func Example() []byte { return example }

func initCommand(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a first configuration file, explained",
		Long: `Write a configuration file to begin with: two services, and every field with what it is for. Without FILE it is
printed. A file that is there stays.`,
		Example: `  lbctl init lb.yaml && lbctl check -f lb.yaml
  lbctl init | less`,
		Args: cli.Takes("[FILE]"),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				_, err := a.Stdout.Write(example)
				return err
			}
			return create(args[0], example)
		},
	}
}

// create writes a new file, or none. Errors: lb.ErrConflict if there is one of that name.
func create(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return cli.Advise(fmt.Errorf("write %s: %w: it is there already", name, lb.ErrConflict), "name another file, or remove it")
	}
	if err != nil {
		return err
	}
	if _, err = f.Write(text); err != nil {
		return errors.Join(err, f.Close(), os.Remove(name))
	}
	if err = f.Close(); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}
