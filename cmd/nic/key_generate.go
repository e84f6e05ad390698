package nic

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

// generateFlag are the flags of rss key generate.
type generateFlag struct {
	wishes     keys.Wishes
	only       string
	spreads    []string
	family     string
	seed       uint64
	interfaces []string
}

// madeAnswer is what lbctl rss key generate prints; scripts rely on its names.
type madeAnswer struct {
	Keys []madeKey `json:"keys"`
	// FreeBits were left to chance, of all keys together.
	FreeBits int     `json:"free_bits"`
	Seed     *uint64 `json:"seed,omitempty"`
}

type madeKey struct {
	Key     string `json:"key"`
	Command string `json:"command"`
	// Ranks are those of the families and fields that were asked for, by table size.
	Ranks []rankAnswer `json:"ranks"`
}

func keyGenerateCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "generate",
		Short: "Make a key that does what is wanted",
		Long: `Make a random Toeplitz key, or one that fulfils wishes; they can be combined. What a key does to the
hash is linear over GF(2), so that wishes are equations in its bits: if there are keys, one is found, and the bits that
the wishes leave open are random. Fields are letters as ethtool has them: s and d for the addresses, f and n for the
ports.

  --symmetric       a packet and its answer have the same hash
  --two-way         two keys: a packet under the first has the hash of its answer under the second, for
                    two ports of which each sees one direction
  --only FIELDS     only these fields count
  --spread F:A-B    bits A to B of field F (0 is the least significant) are spread perfectly: each aligned run
                    of 2^m values fills the low m bits of the table's index, each value once
  --index-only      equal indexes into the table will do where equal hashes were asked for

Without --seed the key is from the kernel's random numbers; one from a seed is for tests, not for secrecy.
Exit code 1: no such key.`,
		Example: `  lbctl rss key generate --length 52
  lbctl rss key generate --symmetric --interface eth0
  lbctl rss key generate --spread f:1-7 --table 128     # the even ports that Linux's connect takes
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

func (g *generateFlag) run(c *cobra.Command) (*madeAnswer, error) {
	if err := g.parse(c); err != nil {
		return nil, err
	}
	random, err := g.random(c)
	if err != nil {
		return nil, err
	}
	made, err := keys.Generate(g.wishes, random)
	if errors.Is(err, keys.ErrNone) {
		return nil, &cli.Failure{Code: cli.ExitFailed, What: err.Error(), Do: "ask for less, for one --family, or for equal indexes (--index-only)", Cause: err}
	} else if err != nil {
		return nil, cli.Usage(c, "%v", err)
	}
	answer := &madeAnswer{FreeBits: made.Free}
	if c.Flags().Changed("seed") {
		answer.Seed = &g.seed
	}
	for n, key := range made.Keys {
		answer.Keys = append(answer.Keys, g.describe(n, key))
	}
	return answer, nil
}

// describe says what the n-th key does, and how it is set.
func (g *generateFlag) describe(n int, key rss.Key) madeKey {
	name := "IFACE"
	if n < len(g.interfaces) {
		name = g.interfaces[n]
	}
	made := madeKey{Key: key.String(), Command: fmt.Sprintf("ethtool -X %s hkey %v", name, key)}
	for _, r := range keys.Analyse(key).Ranks {
		made.Ranks = append(made.Ranks, rankAnswer{r.Family.String(), r.Field.String(), r.Bits, blindBits(keys.Blind(key, r.Family, r.Field, g.wishes.Table))})
	}
	return made
}

func (m *madeAnswer) show(w io.Writer) {
	for n, k := range m.Keys {
		if n > 0 {
			fmt.Fprintln(w)
		}
		cli.Row(w, "key", k.Key)
		cli.Row(w, "set", k.Command)
		for _, r := range k.Ranks {
			if len(r.Blind) > 0 {
				cli.Row(w, "blind", fmt.Sprintf("%s %s: bits %s do not move the index", r.Family, r.Field, strings.Join(r.Blind, ",")))
			}
		}
	}
	cli.Row(w, "free", fmt.Sprintf("%d bits were left to chance", m.FreeBits))
}
