// Package ipvs has lbctl ipvsadm, which takes the lines of ipvsadm(8) for lbctl's services.
package ipvs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/control/importer"
	"lbctl/control/wire"
	"lbctl/lb"
)

// Command takes the options of ipvsadm.
func Command(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:                "ipvsadm COMMAND [OPTION]...",
		Short:              "Take the lines of ipvsadm(8) for the services of lbctl",
		DisableFlagParsing: true,
		Long: `Take the usual lines of ipvsadm(8): -A, -E, -D, -a, -e, -d, -C, -L [-n] [--stats | --rate], -S and -R, with -t, -u, -s, -r,
-w, -m, -g, -i, --tun-type and --tun-port.

  -A  adds a service with the scheduler maglev. Another one than mh is noted on stderr: lbctl chooses by a hash.
  -a  without -m or -i means -g, as in ipvsadm: mode dsr, of which replicas have the VIP's port. A service has one mode.
  -w  0 lets a replica drain.
  -R  takes each line of stdin as a command, as ipvsadm does, and makes all of them one change, or none.
  -S  prints lines that -R takes back; what they cannot say (hash, tracking, names) it says on stderr.
  -L  prints what ipvsadm prints. ActiveConn and InActConn are the recorded flows: there may be more, unless every flow is
      recorded. --rate counts for a second. Conns and CPS are flows that began; answers, which are not counted, are a dash.

What cannot be carried over (-p, -f, -x, -y, -o, SCTP, all ports) is an error. Exit codes are those of lbctl.`,
		Example: `  lbctl ipvsadm -A -t 192.0.2.1:80 -s mh
  lbctl ipvsadm -a -t 192.0.2.1:80 -r 10.1.0.1:8080 -m -w 2
  lbctl ipvsadm -Ln --stats
  lbctl ipvsadm -S >rules && lbctl ipvsadm -C && lbctl ipvsadm -R <rules`,
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		words := importer.Expand(args)
		is := func(names ...string) bool {
			return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(names, w) })
		}
		d := a.Client()
		defer d.Close()
		switch {
		case len(words) == 0 || is("-L", "-l", "--list"):
			return list(a, c, d, words)
		case is("-h", "--help"):
			return c.Help()
		case is("-S", "--save"):
			return save(a, c, d)
		case is("-R", "--restore"):
			return restore(a, c, d)
		}
		return edit(a, c.Context(), d, [][]string{words})
	}
	return c
}

// edit makes lines one change.
func edit(a *cli.App, ctx context.Context, d *client.Client, lines [][]string) error {
	var notes []string
	_, err := d.EditConfig(ctx, func(doc *api.Config) (one string, err error) {
		notes = nil
		for n, words := range lines {
			name, more, err := importer.EditIPVS(doc, words)
			if err != nil && len(lines) > 1 {
				err = fmt.Errorf("line %d: %w", n+1, err)
			}
			if err != nil {
				return "", advise(err)
			}
			if notes = append(notes, more...); len(lines) == 1 {
				one = name
			}
		}
		return one, nil
	})
	if err != nil {
		return err
	}
	for _, n := range notes {
		fmt.Fprintf(a.Stderr, "lbctl: %s\n", n)
	}
	return nil
}

func advise(err error) error {
	if errors.Is(err, lb.ErrInvalid) {
		return cli.Advise(err, "see lbctl ipvsadm --help")
	}
	return cli.Advise(err, "list what there is: lbctl ipvsadm -Ln")
}

// mostLines bounds what -R reads.
const mostLines = 1 << 20

func restore(a *cli.App, c *cobra.Command, d *client.Client) error {
	var lines [][]string
	in := bufio.NewScanner(a.Stdin)
	for in.Scan() {
		text, _, _ := strings.Cut(in.Text(), "#")
		words := strings.Fields(text)
		if len(words) > 0 && words[0] == "ipvsadm" {
			words = words[1:]
		}
		if len(words) > 0 {
			lines = append(lines, words)
		}
		if len(lines) > mostLines {
			return cli.Usage(c, "stdin has more than %d lines", mostLines)
		}
	}
	if err := in.Err(); err != nil {
		return cli.Usage(c, "read stdin: %v", err)
	}
	if len(lines) == 0 {
		return cli.Usage(c, "stdin has no line: want what -S prints")
	}
	return edit(a, c.Context(), d, lines)
}

func save(a *cli.App, c *cobra.Command, d *client.Client) error {
	doc, _, err := d.Config(c.Context())
	if err != nil {
		return err
	}
	lines, lost := importer.SaveIPVS(wire.OwnReplicas(doc))
	for _, l := range lines {
		if _, err := io.WriteString(a.Stdout, l+"\n"); err != nil {
			return err
		}
	}
	for _, l := range lost {
		fmt.Fprintf(a.Stderr, "lbctl: no line says it: %s\n", l)
	}
	return nil
}
