package verify

import (
	"fmt"
	"io"
	"strings"

	"lbctl/cmd/cli"
	"lbctl/rss/nic"
	"lbctl/rss/observe"
	"lbctl/rss/verify"
)

// answer is what lbctl rss verify prints. Scripts rely on its JSON names.
type answer struct {
	Interface string `json:"interface"`
	Driver    string `json:"driver"`
	// Receivers is the number of receive queues in use; Queues has the packets of each.
	Receivers int          `json:"queue_count"`
	Mode      observe.Mode `json:"mode"`
	Seconds   float64      `json:"seconds"`
	Model     modelAnswer  `json:"model"`
	// Lost is the number of packets that were not compared.
	Lost uint64 `json:"lost"`
	// Notes are modes that were tried without success, and assumptions.
	Notes []string `json:"notes"`
	verify.Report
}

// modelAnswer is the model that packets were compared with; Given are the flags that overrode the NIC's settings.
type modelAnswer struct {
	Key       string   `json:"key"`
	Table     int      `json:"table_entries"`
	Queues    int      `json:"queue_count"`
	Function  string   `json:"function"`
	Transform string   `json:"transform"`
	Given     []string `json:"given"`
}

func describeModel(c nic.Config, given []string) modelAnswer {
	return modelAnswer{
		Key: c.Key.String(), Table: len(c.Table), Queues: c.Table.Queues(),
		Function: c.Function.String(), Transform: c.Transform.String(), Given: given,
	}
}

// modeWords says where the packets were observed.
func (v *answer) modeWords() string {
	switch v.Mode {
	case observe.Native:
		return "observed in the driver (native XDP)"
	case observe.Generic:
		return "observed on socket buffers (generic XDP)"
	}
	return "observed on a packet socket, after XDP and GRO"
}

// show prints the report for a reader.
func (v *answer) show(w io.Writer) {
	fmt.Fprintf(w, "%s (%s), %s, %s for %.1f s\n", v.Interface, v.Driver, cli.Many(v.Receivers, "queue"), v.modeWords(), v.Seconds)
	fmt.Fprintf(w, "model: %s, table of %d over %s, key %s\n", v.Model.Function, v.Model.Table, cli.Many(v.Model.Queues, "queue"), keyBeginning(v.Model.Key))
	if len(v.Model.Given) > 0 {
		fmt.Fprintf(w, "       of which by flags: %s\n", strings.Join(v.Model.Given, ", "))
	}
	for _, note := range v.Notes {
		fmt.Fprintf(w, "note: %s\n", cli.OneLine(note))
	}
	if len(v.Classes) > 0 {
		fmt.Fprintln(w)
		cli.Row(w, "CLASS", "PACKETS", "QUEUE", "HASH")
		for _, c := range v.Classes {
			cli.Row(w, c.Class, c.Queue.Compared, agreedPercent(c.Queue), agreedPercent(c.Hash))
		}
		cli.Row(w, "all", v.Queue.Compared, agreedPercent(v.Queue), agreedPercent(v.Hash))
		fmt.Fprintln(w)
		cli.Row(w, "QUEUE", "PACKETS", "EXPECTED", "CPUS")
		for _, q := range v.Queues {
			cli.Row(w, q.Queue, q.Packets, q.Expected, strings.Trim(fmt.Sprint(q.CPUs), "[]"))
		}
	}
	v.showExamples(w)
	fmt.Fprintln(w)
	for _, words := range v.Words {
		fmt.Fprintln(w, words)
	}
	if v.Lost > 0 {
		fmt.Fprintf(w, "%d packets came too fast to be compared\n", v.Lost)
	}
}

// showExamples prints packets that disagree.
func (v *answer) showExamples(w io.Writer) {
	title := true
	for _, c := range v.Classes {
		for _, e := range c.Examples {
			if title {
				fmt.Fprintln(w)
				cli.Row(w, "DISAGREES", "PACKETS", "QUEUE", "WANT", "HASH", "WANT", "FIELDS", "FLOW")
				title = false
			}
			cli.Row(w, c.Class, e.Packets, e.Queue, e.WantQueue, e.Hash, e.WantHash, e.WantFields, e.Flow)
		}
	}
}

// failure is the error of a report in which the NIC and the model do not agree.
func (v *answer) failure() error {
	switch v.Verdict {
	case verify.Agrees:
		return nil
	case verify.Nothing:
		return &cli.Failure{Code: cli.ExitFailed, What: fmt.Sprintf("verify %s: no packet came", v.Interface), Do: "send packets to it meanwhile, or observe longer: --for 1m"}
	case verify.Chance:
		return &cli.Failure{Code: cli.ExitFailed, What: fmt.Sprintf("verify %s: the model is not that of this NIC", v.Interface), Do: "name another model: --key, --table, --queues, --fields; lbctl rss identify finds one"}
	}
	return &cli.Failure{Code: cli.ExitFailed, What: fmt.Sprintf("verify %s: %d of %d packets disagree with the model in queue, %d of %d in hash", v.Interface,
		v.Queue.Compared-v.Queue.Agreed, v.Queue.Compared, v.Hash.Compared-v.Hash.Agreed, v.Hash.Compared),
		Do: "see the classes and examples; -o json has the frames"}
}

// agreedPercent is the share that agreed, never rounded up to 100 %.
func agreedPercent(a verify.Agreement) string {
	switch {
	case a.Compared == 0:
		return "-"
	case a.Agreed == a.Compared:
		return "100 %"
	}
	return fmt.Sprintf("%.2f %%", min(100*a.Share(), 99.99))
}

// keyBeginning shortens a key.
func keyBeginning(k string) string {
	const bytes = 8
	if len(k) <= 3*bytes {
		return k
	}
	return k[:3*bytes-1] + ":..."
}
