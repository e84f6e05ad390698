// Command benchtable writes the table of README.md that says what a packet costs, from one run: it runs the benchmark of
// the datapath as root on a quiet machine, some rounds one after the other, and puts medians and spreads with the machine
// between two comments of README.md. Every scenario has its cell (rows.go): one without a cell, or a cell without its
// scenario, is an error, and README.md stays as it is.
//
//	go run ./deploy/benchtable                     # at the top of the repository; some minutes a round
//	go run ./deploy/benchtable -save FILE          # keeps what was measured, with the machine
//	go run ./deploy/benchtable -from FILE          # writes the table from it, on any machine
//
// The exit code is 0 when the table is written, 1 when it is not, 2 on wrong usage.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// options are the command's flags.
type options struct {
	rounds           int
	load             float64
	save, from, page string
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 3, "how often the benchmark runs")
	flag.Float64Var(&o.load, "load", 1.3, "the greatest load average of a minute at which it begins")
	flag.StringVar(&o.save, "save", "", "a file for what was measured")
	flag.StringVar(&o.from, "from", "", "a file that -save wrote, instead of a run")
	flag.StringVar(&o.page, "page", "README.md", "the page with the table")
	flag.Parse()
	if flag.NArg() > 0 || o.rounds < 1 || o.from != "" && o.save != "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := o.write(); err != nil {
		fmt.Fprintln(os.Stderr, "benchtable:", err)
		os.Exit(1)
	}
}

// write writes the page. After an error it is as it was.
func (o options) write() error {
	if _, err := o.with(""); err != nil { // before some minutes have passed
		return err
	}
	name, measured, err := o.measured()
	if err != nil {
		return err
	}
	m, err := read(name, bytes.NewReader(measured))
	if err != nil {
		return err
	}
	block, err := m.block()
	if err != nil {
		return err
	}
	page, err := o.with(block)
	if err != nil {
		return err
	}
	return os.WriteFile(o.page, page, 0o644)
}

// with returns the page with another block.
func (o options) with(block string) ([]byte, error) {
	page, err := os.ReadFile(o.page)
	if err != nil {
		return nil, fmt.Errorf("%w: run it at the top of the repository", err)
	}
	if page, err = replace(page, block); err != nil {
		return nil, fmt.Errorf("%s: %w", o.page, err)
	}
	return page, nil
}

// measured returns the benchmark's output and the name of where it is.
func (o options) measured() (name string, output []byte, err error) {
	if o.from != "" {
		output, err = os.ReadFile(o.from)
		return o.from, output, err
	}
	here, err := thisMachine()
	if err != nil {
		return "", nil, err
	}
	if here.load > o.load {
		return "", nil, fmt.Errorf("the load average is %.2f, more than %.2f: other work would be measured, too; wait, or begin at more with -load", here.load, o.load)
	}
	out := bytes.NewBufferString(here.lines())
	for range o.rounds {
		if err := round(io.MultiWriter(out, os.Stderr)); err != nil {
			return "", nil, err
		}
	}
	if o.save != "" {
		err = os.WriteFile(o.save, out.Bytes(), 0o644)
	}
	return "the benchmark", out.Bytes(), err
}

// round runs the benchmark once.
func round(out io.Writer) error {
	run := exec.Command("go", "test", "-run", "-", "-bench", "Datapath$", "-benchtime", "1x", "-timeout", "0", "./lb/datapath")
	run.Env = append(os.Environ(), "LBCTL_MUST=root") // else it is skipped
	run.Stdout, run.Stderr = out, os.Stderr
	if err := run.Run(); err != nil {
		return fmt.Errorf("%v: %w: it says above what failed; it takes root", run, err)
	}
	return nil
}
