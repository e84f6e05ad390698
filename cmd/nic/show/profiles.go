package show

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/nic"
	"lbctl/rss/setup"
)

// profileAnswer is a profile. Scripts rely on its JSON names.
type profileAnswer struct {
	Name        string            `json:"name"`
	Driver      string            `json:"driver"`
	Key         string            `json:"key,omitempty"`
	KeyLength   int               `json:"key_length"`
	KeySource   string            `json:"key_source"`
	KeyReversed bool              `json:"key_reversed"`
	Tables      []string          `json:"table_defaults"`
	Layout      string            `json:"layout"`
	Fields      map[string]string `json:"fields_by_type"`
	Functions   []string          `json:"functions"`
	Transforms  []string          `json:"transforms"`
	Quirks      []string          `json:"quirks"`
	Notes       []string          `json:"notes"`
	Origin      []string          `json:"origin"`
	Verified    bool              `json:"verified"`
	Doubt       string            `json:"doubt,omitempty"`
}

// profileAnswers is what lbctl rss profiles prints.
type profileAnswers struct {
	Profiles []profileAnswer `json:"profiles"`
}

// ProfilesCommand is lbctl rss profiles.
func ProfilesCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "profiles [NAME]",
		Short: "List the profiles of known NICs, or show one",
		Long: `List the profiles of NICs and their drivers: the default key or where it comes from, the size of the
indirection table, the default hash fields, and quirks, each with the source that it was read in. Values
that were not read in a source are marked. --profile of the other commands takes the names.`,
		Example: `  lbctl rss profiles
  lbctl rss profiles ena
  lbctl rss profiles -o json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return cli.Takes("NAME")(c, args)
			}
			return nil
		},
	}
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return listProfiles(a, *f)
		}
		p, ok := nic.NamedProfile(args[0])
		if !ok {
			missing := &cli.Failure{Code: cli.ExitNotFound, What: fmt.Sprintf("profile %q is not known", args[0]), Do: "list them: lbctl rss profiles"}
			return missing.OrNearest(args[0], setup.ProfileNames(), "")
		}
		answer := answerOfProfile(p)
		return a.Print(*f, profileAnswers{[]profileAnswer{answer}}, func(w io.Writer) { printProfile(w, p, answer) })
	}
	return c
}

func listProfiles(a *cli.App, f cli.Format) error {
	all := profileAnswers{Profiles: []profileAnswer{}}
	for _, p := range nic.Profiles() {
		all.Profiles = append(all.Profiles, answerOfProfile(p))
	}
	return a.Print(f, all, func(w io.Writer) {
		cli.Row(w, "NAME", "KEY", "TABLE", "TCP", "UDP", "FUNCTION", "VERIFIED", "DRIVER")
		for _, p := range nic.Profiles() {
			cli.Row(w, p.Name, keyKind(p), p.Tables[0], p.TCP, p.UDP, p.Functions[0], yesNo(p.Verified), p.Driver)
		}
	})
}

func keyKind(p nic.Profile) string {
	if p.RandomKey() {
		return "random"
	}
	return fmt.Sprintf("%x...", []byte(p.Key[:4]))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "in part"
}

func answerOfProfile(p nic.Profile) profileAnswer {
	answer := profileAnswer{
		Name: p.Name, Driver: p.Driver, KeyLength: p.KeyLength, KeySource: p.KeySource, KeyReversed: p.KeyReversed,
		Layout: "in turn", Fields: map[string]string{"tcp": p.TCP.String(), "udp": p.UDP.String(), "ip": p.IP.String()},
		Tables: []string{}, Functions: []string{}, Transforms: []string{}, Quirks: profileQuirks(p), Notes: append([]string{}, p.Notes...),
		Origin: p.Origin, Verified: p.Verified, Doubt: p.Doubt,
	}
	if p.Key != nil {
		answer.Key = p.Key.String()
	}
	if p.Blocks {
		answer.Layout = "in blocks"
	}
	if p.SCTP != 0 {
		answer.Fields["sctp"] = p.SCTP.String()
	}
	for _, t := range p.Tables {
		answer.Tables = append(answer.Tables, strings.TrimSuffix(fmt.Sprintf("%v: %s", t, t.When), ": "))
	}
	for _, function := range p.Functions {
		answer.Functions = append(answer.Functions, function.String())
	}
	for _, x := range p.Transforms {
		answer.Transforms = append(answer.Transforms, x.String())
	}
	return answer
}

// profileQuirks are the quirks that the model computes, in words.
func profileQuirks(p nic.Profile) []string {
	quirks := []string{}
	if p.KeyReversed {
		quirks = append(quirks, "key in reverse byte order")
	}
	if p.Quirks.Initial != 0 {
		quirks = append(quirks, fmt.Sprintf("initial value %#08x", p.Quirks.Initial))
	}
	if p.DefaultQueue != (nic.DefaultQueue{}) {
		quirks = append(quirks, "packets without a hash go to the queue of "+p.DefaultQueue.String()+" of the table")
	}
	if p.Quirks.Sorted {
		quirks = append(quirks, "sorted addresses and ports")
	}
	if p.Quirks.LowHalfTwice {
		quirks = append(quirks, "low half of the hash twice")
	}
	if p.Blocks {
		quirks = append(quirks, "table in blocks")
	}
	return quirks
}

func printProfile(w io.Writer, p nic.Profile, answer profileAnswer) {
	cli.Row(w, "name", answer.Name)
	cli.Row(w, "driver", answer.Driver)
	key := answer.Key
	if p.RandomKey() {
		key = fmt.Sprintf("%d bytes, not known", p.KeyLength)
	}
	cli.Row(w, "key", key)
	cli.Row(w, "key from", answer.KeySource)
	several(w, "table", answer.Tables)
	cli.Row(w, "fields", fmt.Sprintf("tcp %v, udp %v, other %v", p.TCP, p.UDP, p.IP))
	several(w, "function", answer.Functions)
	several(w, "transform", answer.Transforms)
	several(w, "quirk", answer.Quirks)
	several(w, "note", answer.Notes)
	several(w, "origin", answer.Origin)
	cli.Row(w, "verified", strings.TrimSuffix(yesNo(p.Verified)+": "+p.Doubt, ": "))
}

// several prints one row for each value.
func several(w io.Writer, name string, values []string) {
	for _, value := range values {
		cli.Row(w, name, value)
	}
}
