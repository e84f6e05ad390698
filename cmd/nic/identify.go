package nic

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/identify"
	"lbctl/rss/nic"
	"lbctl/rss/observe"
)

// identifyFlag are the flags of rss identify.
type identifyFlag struct {
	keys                  []string
	length, queues, table int
	fill, name, mode      string
	duration              time.Duration
	seed                  uint64
}

func identifyCommand(a *cli.App, nics cli.Interfaces) *cobra.Command {
	f := &identifyFlag{}
	c := &cobra.Command{
		Use:   "identify {FILE | - | --interface IFACE}",
		Short: "Find out what a NIC hashes, and how, from what it was seen to do",
		Long: `Recover the key and initial value of a NIC's Toeplitz hash from pairs of a tuple and the hash, or the queue,
that the NIC gave it, by linear algebra over GF(2), and find out what is odd about the NIC: key or input
in another byte order, ends swapped or sorted, symmetric-xor, fewer fields, the inner header, xor or crc32. What
the observations do not determine is said, and which of them contradict the others.

Observations are CSV, with a line of column names first, or JSON, an array of objects or one after another:

  src, dst     address and port (192.0.2.1:80, [2001:db8::1]:80); the address alone where there are no ports
  protocol     tcp, udp, another name or a number; tcp if left out
  inner_src, inner_dst, inner_protocol     the same of the packet in a tunnel
  input        in place of all these: the bytes that are hashed, in hexadecimal
  hash         0x51ccc178, or decimal
  queue        the receive queue

All need a hash, or all a queue. A dozen hashes of as many different flows do; of queues it takes some hundred,
and the table is taken for one filled in turn, of any size, unless --table or --fill says what it is. Up to a quarter of the
hashes, and about one in twenty of the queues, may be wrong.

With --interface packets are observed as lbctl rss verify does, and the key that the driver shows is tried too.

Exit codes: 0 identified, 1 not.`,
		Example: `  lbctl rss identify observations.csv
  lbctl rss identify observations.json --key 6d:5a:56:... -o json     # what was the NIC's key made into?
  lbctl rss identify queues.csv --queues 8 --table 512
  lbctl rss identify --interface eth0 --for 30s`,
		Args: func(c *cobra.Command, args []string) error {
			if f.name != "" {
				return cli.Takes()(c, args)
			}
			return cli.Takes("FILE")(c, args)
		},
	}
	c.Flags().StringArrayVar(&f.keys, "key", nil, "a key that the NIC may have, tried first; may be repeated")
	c.Flags().IntVar(&f.length, "key-length", 0, "bytes of the key (default 40, or what is reached)")
	c.Flags().IntVar(&f.queues, "queues", 0, "receive queues of the NIC (default: the highest seen, and one more)")
	c.Flags().IntVar(&f.table, "table", 0, "entries of the indirection table (default: any)")
	c.Flags().StringVar(&f.fill, "fill", "", `how the table is filled, as by ethtool -X: "equal 4", "weight 2 1 1"; or @FILE with a table in JSON`)
	c.Flags().StringVar(&f.name, "interface", "", "observe this interface")
	c.Flags().StringVar(&f.mode, "mode", string(observe.Auto), "where to observe: auto, native, generic or socket")
	c.Flags().DurationVar(&f.duration, "for", 10*time.Second, "how long to observe; Ctrl-C ends it early")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "of the random orders that are tried when some observations are wrong")
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		answer, err := f.run(a, c, nics, args)
		if err != nil {
			return err
		}
		if err := a.Print(*output, answer, answer.show); err != nil {
			return err
		}
		return answer.failure()
	}
	return c
}

func (f *identifyFlag) run(a *cli.App, c *cobra.Command, nics cli.Interfaces, args []string) (*identifyAnswer, error) {
	options, err := f.options(c)
	if err != nil {
		return nil, err
	}
	var observations []identify.Observation
	if f.name != "" {
		observations, err = f.live(a, c, nics, &options)
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
	return newIdentifyAnswer(observations, result), nil
}

// options are what the flags say of the NIC, and the default keys of those that are known.
func (f *identifyFlag) options(c *cobra.Command) (o identify.Options, err error) {
	o = identify.Options{KeyLength: f.length, Queues: f.queues, Seed: f.seed}
	if f.length != 0 && (f.length < rss.MinKeyLength || f.length > rss.MaxKeyLength) {
		return o, cli.Usage(c, "--key-length: %d bytes: want %d to %d", f.length, rss.MinKeyLength, rss.MaxKeyLength)
	}
	if f.queues < 0 || f.queues > rss.MaxQueues {
		return o, cli.Usage(c, "--queues: %d: want 1 to %d", f.queues, rss.MaxQueues)
	}
	for _, text := range f.keys {
		key, err := rss.ParseKey(text)
		if err != nil {
			return o, cli.Usage(c, "--key: %v", err)
		}
		o.Keys = append(o.Keys, identify.NamedKey{Name: "the key given", Key: key})
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
	if (f.table != 0 || f.fill != "") && f.queues == 0 {
		return o, cli.Usage(c, "--table and --fill need --queues")
	}
	switch {
	case f.fill != "":
		if o.Table, err = fillTable(f.fill, max(f.table, nic.DefaultTableSize), f.queues); err != nil {
			return o, cli.Usage(c, "--fill: %v", err)
		}
	case f.table != 0:
		if o.Table, err = rss.EqualTable(f.table, f.queues); err != nil {
			return o, cli.Usage(c, "--table: %v", err)
		}
	}
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
		return nil, &cli.Failure{Code: cli.ExitUsage, What: name + ": " + err.Error(), Do: "see lbctl rss identify --help for what observations look like", Cause: err}
	}
	return observations, nil
}
