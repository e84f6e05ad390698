package document

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/config"
)

func checkCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "check -f FILE",
		Short: "Say whether a configuration file is right, without a daemon",
		Long: `Read a configuration file as apply does and say everything that is wrong with it, by line and column. It asks no
daemon: whether the file fits its limits, and this host's network, only lbctl plan can tell.`,
		Example: `  lbctl check -f lb.yaml
  lbctl check -f lb.yaml -o json`,
		Args: cli.Takes(),
	}
	name := fileFlag(c)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		_, i, err := readFile(a, c, *name)
		var wrong *config.Error
		if err != nil && !errors.As(err, &wrong) {
			return err
		}
		result := checked{File: *name, Valid: err == nil, Problems: []problem{}}
		for _, s := range i.Services {
			result.Replicas += len(s.Replicas)
		}
		result.Services, result.Interfaces = len(i.Services), len(i.Interfaces)
		if wrong != nil {
			for _, p := range wrong.Problems {
				result.Problems = append(result.Problems, problem{p.Line, p.Column, p.Field, p.Reason, p.Hint})
			}
			result.More = wrong.More
		}
		if err := a.Print(*f, result, result.print); err != nil {
			return err
		}
		if wrong != nil {
			return err
		}
		return nil
	}
	return c
}

// checked is what check found; scripts rely on its names.
type checked struct {
	File       string    `json:"path"`
	Valid      bool      `json:"valid"`
	Services   int       `json:"service_count"`
	Replicas   int       `json:"replica_count"`
	Interfaces int       `json:"interface_count"`
	Problems   []problem `json:"problems"`
	// More is how many problems there are beyond those.
	More int `json:"more,omitempty"`
}

// problem is one thing that is wrong. Line and column count from 1; 0 is unknown.
type problem struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Field  string `json:"field"`
	Reason string `json:"reason"`
	Hint   string `json:"hint"`
}

func (r checked) print(w io.Writer) {
	if r.Valid {
		fmt.Fprintf(w, "%s: %s, %s, %s: right\n", r.File, cli.Many(r.Services, "service"), cli.Many(r.Replicas, "replica"), cli.Many(r.Interfaces, "interface"))
		return
	}
	for _, p := range r.Problems {
		field := p.Field
		if field != "" {
			field += ": "
		}
		place := ""
		if p.Line > 0 {
			place = fmt.Sprintf("%d:%d: ", p.Line, p.Column)
		}
		fmt.Fprintf(w, "%s%s%s: %s\n", place, field, p.Reason, p.Hint)
	}
	if r.More > 0 {
		fmt.Fprintf(w, "and %s more\n", cli.Many(r.More, "problem"))
	}
}
