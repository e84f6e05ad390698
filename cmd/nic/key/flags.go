package key

import (
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/keys"
	"lbctl/rss/nic"
)

func generateFlags(c *cobra.Command) *generateFlag {
	g, f := &generateFlag{}, c.Flags()
	f.IntVar(&g.want.Length, "length", rss.MinKeyLength, "bytes of the key")
	f.BoolVar(&g.want.Symmetric, "symmetric", false, "the same hash in both directions")
	f.BoolVar(&g.want.TwoWays, "two-way", false, "a pair of keys, one for each direction")
	f.StringVar(&g.only, "only", "", "the fields that affect the hash, as sd (default sdfn)")
	f.StringArrayVar(&g.spreads, "spread", nil, "bits of a field to spread perfectly, as f:0-6; may be repeated")
	f.StringVar(&g.family, "family", "both", "the packets that the constraints apply to: ipv4, ipv6 or both")
	f.BoolVar(&g.want.IndexOnly, "index-only", false, "require equal indexes into the table instead of equal hashes")
	f.IntVar(&g.want.Table, "table", nic.DefaultTableSize, "entries of the indirection table")
	f.Uint64Var(&g.seed, "seed", 0, "generate the key of this seed (default: random)")
	f.StringArrayVar(&g.interfaces, "interface", nil, "the interface in the command that sets the key; twice with --two-way")
	return g
}

// parse reads the flags that are text.
func (g *generateFlag) parse(c *cobra.Command) (err error) {
	if g.only != "" {
		if g.want.Only, err = rss.ParseFields(g.only); err != nil || g.want.Only == 0 {
			return cli.Usage(c, "--only: want letters of sdfn, not %q", g.only)
		}
	}
	switch g.family {
	case "both":
	case keys.IPv4.String():
		g.want.Families = []keys.Family{keys.IPv4}
	case keys.IPv6.String():
		g.want.Families = []keys.Family{keys.IPv6}
	default:
		return cli.Usage(c, "--family: %q is not known: want ipv4, ipv6 or both", g.family)
	}
	for _, text := range g.spreads {
		r, err := parseBitRange(text)
		if err != nil {
			return cli.Usage(c, "--spread: %v", err)
		}
		g.want.Spreads = append(g.want.Spreads, r)
	}
	if most := map[bool]int{false: 1, true: 2}[g.want.TwoWays]; len(g.interfaces) > most {
		return cli.Usage(c, "--interface: %d interfaces for %s", len(g.interfaces), cli.Many(most, "key"))
	}
	return nil
}

// parseBitRange reads "f:0-6" or "f:3".
func parseBitRange(text string) (r keys.BitRange, err error) {
	wrong := fmt.Errorf("%q: want a field and its bits, as f:0-6", text)
	field, rest, ok := strings.Cut(text, ":")
	if !ok {
		return r, wrong
	}
	if r.Field, err = rss.ParseFields(field); err != nil {
		return r, wrong
	}
	low, high, ok := strings.Cut(rest, "-")
	if !ok {
		high = low
	}
	var errs [2]error
	r.Low, errs[0] = strconv.Atoi(low)
	r.High, errs[1] = strconv.Atoi(high)
	if errors.Join(errs[:]...) != nil {
		return r, wrong
	}
	return r, nil
}

// random returns the seed's numbers, or the kernel's.
func (g *generateFlag) random(c *cobra.Command) (*rand.Rand, error) {
	var seed [32]byte
	if c.Flags().Changed("seed") {
		binary.LittleEndian.PutUint64(seed[:], g.seed)
	} else if _, err := crand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("read random numbers: %w", err)
	}
	return rand.New(rand.NewChaCha8(seed)), nil
}
