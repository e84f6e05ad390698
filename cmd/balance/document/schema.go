package document

import (
	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/rest"
)

func schemaCommand(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of configuration files, for editors",
		Long: `Print the JSON Schema (2020-12) of configuration files. An editor with a YAML language server completes and checks
a file that begins with

  # yaml-language-server: $schema=./lbctl.schema.json`,
		Example: `  lbctl schema >lbctl.schema.json`,
		Args:    cli.Takes(),
		RunE: func(*cobra.Command, []string) error {
			text, err := rest.ConfigSchema()
			if err != nil {
				return err
			}
			_, err = a.Stdout.Write(text)
			return err
		},
	}
}
