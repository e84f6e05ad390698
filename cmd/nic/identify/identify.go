// Package identify has the command lbctl rss identify: the key and hash fields of a NIC, from observed hashes or queues.
package identify

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/identify"
	"lbctl/rss/nic"
	"lbctl/rss/setup"
)

// flags are those of lbctl rss identify.
type flags struct {
	*cli.ObserveFlags
	keys                  []string
	length, queues, table int
	fill, name            string
	seed                  uint64
	out                   string
}

// Command is lbctl rss identify.
func Command(a *cli.App) *cobra.Command {
	f := &flags{}
	c := &cobra.Command{
		Use:   "identify {FILE | - | --interface IFACE}",
		Short: "Recover a NIC's key, hash function and hash fields from observed hashes or queues",
		Long: `Recover the key and initial value of a NIC's Toeplitz hash by linear algebra over GF(2), from flows and the hash or
the queue that the NIC gave them. Also find departures from the standard: key or input in another
byte order, source and destination swapped or sorted, symmetric-xor, fewer fields, the inner header, xor or crc32.
The answer says what the observations do not determine, and which of them contradict the others.

Observations are CSV, with a line of column names first, or JSON, an array of objects or one after another:

  src, dst     address and port (192.0.2.1:80, [2001:db8::1]:80); only the address for protocols without ports
  protocol     tcp, udp, another name or a number; default tcp
  inner_src, inner_dst, inner_protocol     the same for the packet in a tunnel
  input        instead of all these: the bytes that are hashed, in hexadecimal
  hash         0x51ccc178, or decimal
  queue        the receive queue

Either all have a hash, or all have a queue. A dozen hashes of different flows are enough, or some hundred queues. With
queues the table is assumed to be filled in turn, of any size, unless --table or --fill describes it. Up to a quarter of
the hashes, and about one in twenty of the queues, may be wrong.

--interface observes packets as lbctl rss verify does, and also tries the key that the driver reports.

Exit codes: 0 identified, 1 not identified.`,
		Example: `  lbctl rss identify observations.csv
  lbctl rss identify observations.json --key 6d:5a:56:... -o json     # what did the NIC do to this key?
  lbctl rss identify queues.csv --queues 8 --table 512 --out /tmp/identify
  lbctl rss identify --interface eth0 --for 30s`,
		Args: func(c *cobra.Command, args []string) error {
			if f.name != "" {
				return cli.Takes()(c, args)
			}
			return cli.Takes("FILE")(c, args)
		},
	}
	c.Flags().StringArrayVar(&f.keys, "key", nil, "a key to try first; may be repeated")
	c.Flags().IntVar(&f.length, "key-length", 0, "bytes of the key (default 40, or as many as the inputs reach)")
	c.Flags().IntVar(&f.queues, "queues", 0, "receive queues of the NIC (default: the highest observed, plus 1)")
	c.Flags().IntVar(&f.table, "table", 0, "entries of the indirection table (default: any)")
	c.Flags().StringVar(&f.fill, "fill", "", `how the table is filled, as by ethtool -X: "equal 4", "weight 2 1 1"; or @FILE with a table in JSON`)
	c.Flags().StringVar(&f.name, "interface", "", "observe this interface")
	f.ObserveFlags = cli.NewObserveFlags(c, "Ctrl-C ends it early")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "seed of the random orders that are tried when some observations are wrong")
	c.Flags().StringVar(&f.out, "out", "", "write the evidence to this folder: report.html, report.json and the figures")
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		said, err := f.run(a, c, args)
		if err != nil {
			return err
		}
		if err := a.Print(*output, said, said.show); err != nil {
			return err
		}
		return said.failure()
	}
	return c
}

func (f *flags) run(a *cli.App, c *cobra.Command, args []string) (*answer, error) {
	options, err := f.options(c)
	if err != nil {
		return nil, err
	}
	var observations []identify.Observation
	if f.name != "" {
		observations, err = f.live(a, c, &options)
	} else {
		observations, err = readObservations(a, args[0])
	}
	if err != nil {
		return nil, err
	}
	result, err := identify.Identify(observations, options)
	if err != nil {
		return nil, &cli.Failure{Code: cli.ExitUsage, What: err.Error(), Do: "correct the observations, or the flags that describe the NIC", Cause: err}
	}
	said := newAnswer(observations, result)
	if f.out != "" {
		err = f.write(strings.Join(append(args, f.name), ""), said, result)
	}
	return said, err
}

// options returns what the flags say about the NIC, and the default keys of the known NICs to try.
func (f *flags) options(c *cobra.Command) (o identify.Options, err error) {
	o = identify.Options{KeyLength: f.length, Queues: f.queues, Seed: f.seed}
	if f.length != 0 && (f.length < rss.MinKeyLength || f.length > rss.MaxKeyLength) {
		return o, cli.Usage(c, "--key-length: %d bytes: want %d to %d", f.length, rss.MinKeyLength, rss.MaxKeyLength)
	}
	if f.queues < 0 || f.queues > rss.MaxQueues {
		return o, cli.Usage(c, "--queues: %d: want 1 to %d", f.queues, rss.MaxQueues)
	}
	if err := f.Validate(c); err != nil {
		return o, err
	}
	for _, text := range f.keys {
		key, err := setup.ParseKey(text)
		if err != nil {
			return o, cli.Usage(c, "--key: %v", err)
		}
		o.Keys = append(o.Keys, identify.NamedKey{Name: "the key given", Key: key})
		o.Given = append(o.Given, key)
	}
	for _, name := range rss.KeyNames() {
		key, _ := rss.Named(name)
		o.Keys = append(o.Keys, identify.NamedKey{Name: name, Key: key})
	}
	for _, p := range nic.Profiles() {
		if p.Key != nil {
			o.Keys = append(o.Keys, identify.NamedKey{Name: "the default of " + p.Name, Key: p.Key})
		}
	}
	if f.table == 0 && f.fill == "" {
		return o, nil
	}
	if f.queues == 0 {
		return o, cli.Usage(c, "--table and --fill need --queues")
	}
	described := setup.Setup{Queues: f.queues, Fill: f.fill}
	if f.table != 0 {
		described.Table = &f.table
	}
	config, err := described.Config()
	if err != nil {
		return o, cli.SetupFailure(c, err)
	}
	o.Table = config.Table
	return o, nil
}

// readObservations reads a file, or stdin.
func readObservations(a *cli.App, name string) ([]identify.Observation, error) {
	in := a.Stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	observations, err := identify.Read(in)
	if err != nil {
		return nil, &cli.Failure{Code: cli.ExitUsage, What: name + ": " + err.Error(), Do: "see lbctl rss identify --help for the format of observations", Cause: err}
	}
	return observations, nil
}
