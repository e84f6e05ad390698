package document

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/config"
	"lbctl/control/importer"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
)

func importCommand(a *cli.App) *cobra.Command {
	return cli.Noun(&cobra.Command{
		Use:   "import",
		Short: "Make a configuration file of that of another load balancer",
		Long: `Print a configuration file that does what the configuration of another load balancer does, as far as lbctl can. What
could not be carried over, or means something else, stands above it in comments and on stderr. Nothing is changed.`,
		Example: `  ipvsadm-save -n | lbctl import ipvsadm >lb.yaml
  lbctl import haproxy /etc/haproxy/haproxy.cfg >lb.yaml`,
	},
		importFrom(a, "ipvsadm", "what ipvsadm-save -n prints", importer.IPVS),
		importFrom(a, "haproxy", "a haproxy.cfg: listen, and frontend with its default backend, in mode tcp", importer.HAProxy))
}

func importFrom(a *cli.App, name, what string, read func(io.Reader) (importer.Result, error)) *cobra.Command {
	return &cobra.Command{
		Use:     name + " [FILE]",
		Short:   "Read " + what,
		Long:    "Read " + what + "; without FILE from stdin.",
		Example: fmt.Sprintf("  lbctl import %s FILE >lb.yaml && lbctl check -f lb.yaml", name),
		Args:    cli.Takes("[FILE]"),
		RunE: func(_ *cobra.Command, args []string) error {
			from, in := "stdin", a.Stdin
			if len(args) == 1 && args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				from, in = args[0], f
			}
			r, err := read(in)
			if err != nil {
				return cli.Advise(fmt.Errorf("%s: %w", from, err), "correct the line, or remove it")
			}
			if _, err := wire.Resolve(r.Config, intent.Default()); err != nil {
				return cli.Advise(fmt.Errorf("%s: what it says makes no configuration: %w", from, err), "correct it; lbctl init shows what a configuration can say")
			}
			if len(r.Config.Services) == 0 { // applied, it would remove all that there are
				for _, l := range r.Lacks {
					fmt.Fprintf(a.Stderr, "not carried over: %s\n", cli.OneLine(l.String()))
				}
				return cli.Advise(fmt.Errorf("%s: %w: it has no service that lbctl could have", from, lb.ErrInvalid), "name a file with services: lbctl import --help")
			}
			return printImported(a, r)
		},
	}
}

// printImported prints the file; what it lacks on stderr, too.
func printImported(a *cli.App, r importer.Result) error {
	text, err := config.Write(r.Config)
	if err != nil {
		return err
	}
	for _, l := range r.Lacks {
		line := cli.OneLine(l.String())
		fmt.Fprintf(a.Stdout, "# not carried over: %s\n", line)
		fmt.Fprintf(a.Stderr, "not carried over: %s\n", line)
	}
	_, err = a.Stdout.Write(text)
	return err
}
