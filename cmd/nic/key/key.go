// Package key has the commands lbctl rss key: what an RSS key does, and keys under constraints.
package key

import (
	"fmt"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/keys"
	"lbctl/rss/nic"
	"lbctl/rss/setup"
)

// Command is lbctl rss key.
func Command(a *cli.App) *cobra.Command {
	return cli.Noun(&cobra.Command{
		Use:   "key",
		Short: "Analyse an RSS key, or generate one under constraints",
		Example: `  lbctl rss key analyse ms
  lbctl rss key generate --symmetric`,
	}, analyseCommand(a), generateCommand(a))
}

// analysis is what lbctl rss key analyse prints. Scripts rely on its JSON names.
type analysis struct {
	// Verdict is even, uneven, or one-queue; Text says it in a sentence.
	Verdict     string            `json:"verdict"`
	Text        string            `json:"verdict_text"`
	Key         string            `json:"key"`
	Bytes       int               `json:"bytes"`
	PeriodBits  int               `json:"period_bits"`
	HalvesEqual bool              `json:"halves_equal"`
	TableSizes  []int             `json:"table_sizes"`
	Ranks       []rankAnswer      `json:"ranks"`
	Symmetry    []symmetryAnswer  `json:"symmetry"`
	Table       int               `json:"table_entries"`
	Queues      int               `json:"queue_count"`
	Traffic     []trafficAnswer   `json:"traffic"`
	SourcePorts sourcePortsAnswer `json:"source_ports"`
}

type rankAnswer struct {
	Family string `json:"family"`
	Field  string `json:"field"`
	// Bits are by table size.
	Bits []int `json:"bits"`
	// Blind are bits of the field that do not change the index of the table.
	Blind []string `json:"blind"`
}

type symmetryAnswer struct {
	Family  string `json:"family"`
	Fields  string `json:"fields"`
	LowBits int    `json:"low_bits"`
}

type trafficAnswer struct {
	Name      string  `json:"name"`
	Flows     int     `json:"flows"`
	Hashes    int     `json:"hashes"`
	Entries   int     `json:"entries"`
	Queues    int     `json:"queue_count"`
	AllAfter  int     `json:"all_after"`
	Imbalance float64 `json:"max_mean"`
	ByChance  float64 `json:"max_mean_bound"`
}

type sourcePortsAnswer struct {
	Fewest int     `json:"fewest_per_queue"`
	Most   int     `json:"most_per_queue"`
	Tries  float64 `json:"tries"`
	Probes int     `json:"probes"`
}

func analyseCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:     "analyse KEY",
		Aliases: []string{"analyze"},
		Short:   "Analyse how a key spreads flows",
		Long: `Analyse a Toeplitz key: how many bits of the table's index each field changes (s and d are the addresses, f
and n the ports), whether the key repeats, whether both directions of a flow have the same hash, how it spreads
structured traffic, and what an attacker with one address needs to hit one queue.

A field that changes r of n bits reaches 2^r of 2^n entries when nothing else changes. The imbalance is the
load of the busiest queue divided by its share; random hashes exceed the figure beside it in one of a hundred cases.`,
		Example: `  lbctl rss key analyse ms
  lbctl rss key analyse symmetric --table 512 --queues 16 --out /tmp/key
  lbctl rss key analyse 6d:5a:56:... -o json | jq .symmetry`,
		Args: cli.Takes("KEY"),
	}
	queues := c.Flags().Int("queues", setup.DefaultQueues, "receive queues of the NIC")
	size := c.Flags().Int("table", nic.DefaultTableSize, "entries of the indirection table")
	out := c.Flags().String("out", "", "write report.html, report.json and the figures to this folder")
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		key, err := rss.ParseKey(args[0])
		if err != nil {
			return cli.Usage(c, "KEY: %v", err)
		}
		table, err := rss.EqualTable(*size, *queues)
		if err != nil {
			return cli.Usage(c, "--table, --queues: %v", err)
		}
		answer, err := analyse(key, table)
		if err != nil {
			return err
		}
		answer.Queues = *queues
		answer.judge()
		if *out != "" {
			if err := answer.write(*out, args[0]); err != nil {
				return err
			}
		}
		return a.Print(*f, answer, answer.show)
	}
	return c
}

func analyse(key rss.Key, table rss.Table) (*analysis, error) {
	found := keys.Analyse(key)
	answer := &analysis{
		Key: key.String(), Bytes: len(key), PeriodBits: found.Period, HalvesEqual: found.HalvesEqual,
		TableSizes: keys.TableSizes(), Table: len(table),
	}
	for _, r := range found.Ranks {
		answer.Ranks = append(answer.Ranks, rankAnswer{r.Family.String(), r.Field.String(), r.Bits, blindBits(keys.Blind(key, r.Family, r.Field, len(table)))})
	}
	for _, s := range found.Symmetries {
		answer.Symmetry = append(answer.Symmetry, symmetryAnswer{s.Family.String(), s.Fields.String(), s.LowBits})
	}
	traffic, err := keys.Spread(key, table)
	if err != nil {
		return nil, err
	}
	for _, t := range traffic {
		answer.Traffic = append(answer.Traffic, trafficAnswer{t.Name, t.Flows, t.Hashes, t.Entries, t.Queues, t.AllAfter, t.Imbalance, t.Bound})
	}
	attack, err := keys.SourcePorts(key, table)
	answer.SourcePorts = sourcePortsAnswer{attack.Fewest, attack.Most, attack.Tries, attack.Probes}
	return answer, err
}

// blindBits are ranges as "0-24".
func blindBits(ranges []keys.BitRange) []string {
	all := []string{}
	for _, r := range ranges {
		text := fmt.Sprint(r.Low)
		if r.High != r.Low {
			text = fmt.Sprintf("%d-%d", r.Low, r.High)
		}
		all = append(all, text)
	}
	return all
}
