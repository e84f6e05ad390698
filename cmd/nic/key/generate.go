package key

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/keys"
)

// generateFlag are the flags of lbctl rss key generate.
type generateFlag struct {
	want       keys.Constraints
	only       string
	spreads    []string
	family     string
	seed       uint64
	interfaces []string
}

// generated is what lbctl rss key generate prints. Scripts rely on its JSON names.
type generated struct {
	Keys []generatedKey `json:"keys"`
	// FreeBits is the number of random bits, of all keys together.
	FreeBits int     `json:"free_bits"`
	Seed     *uint64 `json:"seed,omitempty"`
}

type generatedKey struct {
	Key     string `json:"key"`
	Command string `json:"command"`
	// Ranks are by family, field and table size.
	Ranks []rankAnswer `json:"ranks"`
}

func generateCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "generate",
		Short: "Generate a random key, or one that meets constraints",
		Long: `Generate a random Toeplitz key, or one that meets constraints, which can be combined. The hash is linear over
GF(2) in the key's bits, so the constraints are linear equations: if there are such keys, one is found, and the bits that
the constraints leave open are random. Fields are ethtool's letters: s and d are the addresses, f and n the
ports.

  --symmetric       both directions of a flow have the same hash
  --two-way         two keys, for two interfaces that each receive one direction: one direction under the first key
                    has the hash of the other under the second
  --only FIELDS     only these fields affect the hash
  --spread F:A-B    bits A to B of field F (0 is the least significant) are spread perfectly: each aligned run
                    of 2^m values gives each value of the low m bits of the table's index once
  --index-only      require equal indexes into the table instead of equal hashes

Without --seed the key comes from the kernel's random numbers; a key from a seed is for tests, not for secrecy.
Exit code 1: there is no such key.`,
		Example: `  lbctl rss key generate --length 52
  lbctl rss key generate --symmetric --interface eth0
  lbctl rss key generate --spread f:1-7 --table 128     # the even ports that connect(2) takes on Linux
  lbctl rss key generate --two-way --only sdf --interface eth0 --interface eth1`,
		Args: cli.Takes(),
	}
	g := generateFlags(c)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		answer, err := g.run(c)
		if err != nil {
			return err
		}
		return a.Print(*f, answer, answer.show)
	}
	return c
}

func (g *generateFlag) run(c *cobra.Command) (*generated, error) {
	if err := g.parse(c); err != nil {
		return nil, err
	}
	random, err := g.random(c)
	if err != nil {
		return nil, err
	}
	made, err := keys.Generate(g.want, random)
	if errors.Is(err, keys.ErrNone) {
		return nil, &cli.Failure{Code: cli.ExitFailed, What: err.Error(), Do: "drop a constraint, name one --family, or allow equal indexes (--index-only)", Cause: err}
	} else if err != nil {
		return nil, cli.Usage(c, "%v", err)
	}
	answer := &generated{FreeBits: made.Free}
	if c.Flags().Changed("seed") {
		answer.Seed = &g.seed
	}
	for n, key := range made.Keys {
		answer.Keys = append(answer.Keys, g.describe(n, key))
	}
	return answer, nil
}

// describe returns the analysis of the n-th key and the command that sets it.
func (g *generateFlag) describe(n int, key rss.Key) generatedKey {
	name := "IFACE"
	if n < len(g.interfaces) {
		name = g.interfaces[n]
	}
	made := generatedKey{Key: key.String(), Command: fmt.Sprintf("ethtool -X %s hkey %v", name, key)}
	for _, r := range keys.Analyse(key).Ranks {
		made.Ranks = append(made.Ranks, rankAnswer{r.Family.String(), r.Field.String(), r.Bits, blindBits(keys.Blind(key, r.Family, r.Field, g.want.Table))})
	}
	return made
}

func (m *generated) show(w io.Writer) {
	for n, k := range m.Keys {
		if n > 0 {
			fmt.Fprintln(w)
		}
		cli.Row(w, "key", k.Key)
		cli.Row(w, "set", k.Command)
		for _, r := range k.Ranks {
			if len(r.Blind) > 0 {
				cli.Row(w, "blind", fmt.Sprintf("%s %s: bits %s do not change the index", r.Family, r.Field, strings.Join(r.Blind, ",")))
			}
		}
	}
	cli.Row(w, "free", fmt.Sprintf("%d bits are random", m.FreeBits))
}
