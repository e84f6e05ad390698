package lab

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/testbed/experiment"
	"lbctl/testbed/experiments/live"
	"lbctl/testbed/experiments/peers"
	"lbctl/testbed/progress"
	"lbctl/testbed/report"
)

func benchCommand(a *cli.App) *cobra.Command {
	return cli.Noun(&cobra.Command{
		Use:   "bench",
		Short: "Measure how fast the load balancer is on this machine, beside others",
		Example: `  lbctl bench live --seconds 30
  lbctl bench peers --out /tmp/peers`,
	}, benchLiveCommand(a), benchPeersCommand(a))
}

// benchmark is a measurement that is run like an experiment, with its parameters as flags.
type benchmark struct {
	labRun
	trial *experiment.Trial
}

func benchLiveCommand(a *cli.App) *cobra.Command {
	return benchmarkCommand(a, benchmark{trial: live.Experiment().Trial()}, &cobra.Command{
		Use:   "live",
		Short: "Count live frames through the load balancer, beside a bare redirect",
		Long: `Send live frames into a veth that the load balancer is attached to, and count the frames that it sends
out of another veth, all in network namespaces of its own. Rounds with a program that only redirects
give the bare rate to compare with. The exit code is 1 when the balancer does not reach its share of the
bare rate, or a frame is lost. It needs root.`,
		Example: `  lbctl bench live
  lbctl bench live --seconds 60 --out /tmp/live -o json`,
	})
}

func benchPeersCommand(a *cli.App) *cobra.Command {
	return benchmarkCommand(a, benchmark{trial: peers.Experiment().Trial()}, &cobra.Command{
		Use:   "peers",
		Short: "Do the same work through lbctl, nftables, HAProxy and nginx",
		Long: `Send the same requests through the load balancer, through others, and directly to the replicas' own
addresses, in turns, in network namespaces of its own. Print requests per second, latency, and CPU time
per request: of the process that balances, and of the whole machine, softirqs included, less that of
direct. Between the namespaces frames arrive whole, as from a NIC, and every path has the same number of
links. The exit code is 1 when lbctl is too far behind direct, or not ahead of all others. HAProxy and nginx
are tuned, nftables is there with connection tracking and without any state. What this kernel cannot have,
IPVS or a flow table for example, is listed with the reason. It needs root and some four minutes. Missing
programs are installed from Debian's packages; their daemons are not started.`,
		Example: `  lbctl bench peers
  lbctl bench peers --peers direct,lbctl,haproxy --works connections --rounds 20
  lbctl bench peers --requests 10000 --concurrency 64 --out /tmp/peers -o json`,
	})
}

// benchmarkCommand makes the command of a benchmark: a flag for each of its parameters.
func benchmarkCommand(a *cli.App, b benchmark, c *cobra.Command) *cobra.Command {
	c.Args = cli.Takes()
	c.Flags().StringVar(&b.out, "out", "", "write report.html, report.json and the figures to this folder")
	c.Flags().Uint64Var(&b.seed, "seed", 1, "the seed of all random choices")
	c.Flags().BoolVarP(&b.verbose, "verbose", "v", false, "log what is done")
	b.format = cli.OutputFlag(c)
	for _, p := range b.trial.Parameters().List() {
		if p.Default == "false" {
			c.Flags().Bool(p.Name, false, p.Help)
		} else {
			c.Flags().String(p.Name, p.Default, p.Help)
		}
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		for _, p := range b.trial.Parameters().List() {
			b.set = append(b.set, p.Name+"="+c.Flag(p.Name).Value.String())
		}
		return runBench(a, c, &b)
	}
	return c
}

// runBench runs a benchmark, prints its tables and its checks, and writes the report if one is wanted.
func runBench(a *cli.App, c *cobra.Command, b *benchmark) error {
	err := b.setAll(b.trial.Parameters())
	var outcome experiment.Outcome
	if err == nil {
		outcome, err = runTrial(a, c.Context(), &b.labRun, b.trial, progress.Plan{})
	}
	if errors.Is(err, experiment.ErrParameter) {
		return cli.Usage(c, "%v", err)
	} else if err != nil {
		return adviseLab(err, c.Name())
	}
	if err := showBench(a, *b.format, outcome.Result, b.out); err != nil {
		return err
	}
	return judge(outcome.Result, "see which above; measure while the machine does nothing else")
}

// showBench prints the tables before the summary; a script gets the result.
func showBench(a *cli.App, f cli.Format, r report.Result, dir string) error {
	if f == cli.FormatTable {
		for _, t := range r.Tables {
			if err := writeTable(a.Stdout, t); err != nil {
				return err
			}
		}
	}
	return summarise(a, f, r, dir)
}

// writeTable writes a table of a report for a terminal: its name, its columns, its rows, and an empty
// line. Numbers are flush right.
func writeTable(w io.Writer, t report.Table) error {
	lines := [][]string{t.Columns}
	for _, cells := range t.Rows {
		line := make([]string, len(cells))
		for i, c := range cells {
			line[i] = report.Cell(c)
		}
		lines = append(lines, line)
	}
	widths := make([]int, len(t.Columns))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	b.WriteString(t.Name + "\n")
	for _, line := range lines {
		for i, cell := range line {
			line[i] = fmt.Sprintf("%-*s", widths[i], cell)
			if t.Numeric(i) {
				line[i] = fmt.Sprintf("%*s", widths[i], cell)
			}
		}
		b.WriteString("  " + strings.TrimRight(strings.Join(line, "  "), " ") + "\n")
	}
	if _, err := io.WriteString(w, b.String()+"\n"); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}
