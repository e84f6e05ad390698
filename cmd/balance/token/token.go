// Package token has lbctl token, which makes tokens for clients over TCP.
package token

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/access"
	"lbctl/lb"
)

// Command returns lbctl token.
func Command(a *cli.App) *cobra.Command {
	return cli.Noun(&cobra.Command{
		Use:     "token",
		Short:   "Make tokens for clients of the API over TCP",
		Example: "  lbctl token new --name ci --role operator --expires 90d",
	}, newCommand(a))
}

// made is what lbctl token new prints; scripts rely on its names.
type made struct {
	Name  string `json:"name"`
	Role  string `json:"role"`
	Token string `json:"token"`
	Line  string `json:"line"`
}

func newCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "new",
		Short: "Make a token, and the line for the daemon's file",
		Long: `Make a token, print it once, and print the line for the file of lbctl serve --tokens. The line has a hash of the token:
who reads it cannot use it. Nothing is stored, and no daemon is asked. Put the token into a file of mode 0600 for
--token-file; take the line out of the daemon's file to revoke it.`,
		Example: `  lbctl token new --name ci --role operator --expires 90d
  lbctl token new --name grafana --role viewer -o json`,
		Args: cli.Takes(),
	}
	name := c.Flags().String("name", "", "whose it is: the history and the audit log show it")
	role := c.Flags().String("role", access.Viewer.String(), strings.Join(access.Roles(), " or "))
	expires := c.Flags().String("expires", "", "how long it is taken, like 90d, 12h; a time like 2030-01-31T12:00:00Z; never if left out")
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		until, err := expiry(*expires, a.Clock.Now())
		if err != nil {
			return cli.Usage(c, "--expires: %v", err)
		}
		secret, line, err := access.NewToken(*name, *role, until)
		if err != nil {
			return cli.Usage(c, "--%v", err)
		}
		return a.Print(*f, made{*name, *role, secret, line.String()}, func(w io.Writer) {
			fmt.Fprintf(w, "token  %s\nline   %s\n", secret, line)
		})
	}
	return c
}

// expiry reads a span of time, or a time to come. The zero time is never.
func expiry(text string, now time.Time) (at time.Time, err error) {
	if text == "" {
		return at, nil
	}
	span, err := time.ParseDuration(text)
	if days, is := strings.CutSuffix(text, "d"); is {
		var n int
		n, err = strconv.Atoi(days)
		if n > 100*365 {
			n = -1
		}
		span = time.Duration(n) * 24 * time.Hour
	}
	at = now.Add(span)
	if err != nil {
		at, err = time.Parse(time.RFC3339, text)
	}
	if err != nil || !at.After(now) {
		return at, fmt.Errorf("%q: %w: want a span like 90d or 12h, or a time to come like 2030-01-31T12:00:00Z", text, lb.ErrInvalid)
	}
	return at, nil
}
