package identify

import (
	"fmt"
	"io"
	"strings"

	"lbctl/cmd/cli"
	"lbctl/rss/identify"
)

// keyPattern is the key with a dot for each digit that has an unknown bit, or all of the key if it has a name.
func keyPattern(m *identify.Model) string {
	if m.KeyName != "" {
		return m.Key.String()
	}
	digits := []byte(m.Key.String())
	for i := range digits {
		known := m.Known[i/3] >> 4 // two digits and a colon a byte
		if i%3 == 1 {
			known = m.Known[i/3] & 0xf
		}
		if i%3 != 2 && known != 0xf {
			digits[i] = '.'
		}
	}
	return string(digits)
}

// show prints the answer for a reader.
func (r *answer) show(w io.Writer) {
	what := map[string]string{"hash": "hashes", "queue": "queues"}[r.By]
	cli.Row(w, "verdict", fmt.Sprintf("%s, by the %s of %d observations", r.Verdict, what, r.Distinct))
	for _, k := range r.Given {
		cli.Row(w, "key given", k)
	}
	if r.Model != nil {
		r.Model.show(w)
	}
	for _, also := range r.Also[:min(few, len(r.Also))] {
		cli.Row(w, "or", also)
	}
	if n := len(r.Also); n > few {
		cli.Row(w, "or", fmt.Sprintf("%d other models (-o json has all)", n-few))
	}
	for _, pair := range r.Conflicts {
		cli.Row(w, "conflict", fmt.Sprintf("%v and %v are the same packet", pair[0], pair[1]))
	}
	if r.Table != nil {
		cli.Row(w, "table", r.Table)
	}
	for _, note := range r.Notes {
		cli.Row(w, "note", note)
	}
}

// few is how many items of a kind are printed.
const few = 8

func (m *modelFound) show(w io.Writer) {
	cli.Row(w, "function", m.Function)
	if m.Key != "" {
		cli.Row(w, "key", m.pattern)
		if m.KeyName != "" {
			cli.Row(w, "key is", m.KeyName)
		} else {
			cli.Row(w, "undetermined", fmt.Sprintf("key bits %s; %d bits are free", strings.Join(m.Undetermined, ", "), m.FreeBits))
		}
	}
	cli.Row(w, "initial value", m.Initial)
	cli.Row(w, "input", m.arrangement)
	for _, c := range m.Classes {
		fields := c.Fields
		if len(c.Also) > 0 {
			fields += ", or " + strings.Join(c.Also, ", or ")
		}
		cli.Row(w, "fields of "+c.Class, fmt.Sprintf("%s (%d observations)", fields, c.Observations))
	}
	if m.TableSize > 0 {
		cli.Row(w, "table", fmt.Sprintf("%d entries", m.TableSize))
	}
	cli.Row(w, "evidence", fmt.Sprintf("%d bits that could have contradicted the model and did not", m.Evidence))
	if n := len(m.Wrong); n > 0 {
		var some []string
		for _, p := range m.Wrong[:min(n, few)] {
			some = append(some, p.String())
		}
		if n > few {
			some = append(some, "... (-o json has all)")
		}
		cli.Row(w, "contradict", fmt.Sprintf("%d: %s", n, strings.Join(some, ", ")))
	}
}

// failure is the error of an answer that does not identify the NIC.
func (r *answer) failure() error {
	switch r.verdict {
	case identify.Undetermined:
		return &cli.Failure{Code: cli.ExitFailed, What: "there are too few observations", Do: "observe more flows: other addresses and ports, both directions, other protocols"}
	case identify.Unexplained:
		return &cli.Failure{Code: cli.ExitFailed, What: "no model that is known explains the observations", Do: "look for packets with another key, table or tunnel, and try each kind alone"}
	case identify.Constant:
		return &cli.Failure{Code: cli.ExitFailed, What: fmt.Sprintf("every observation has the same %s", r.By), Do: "the NIC does not hash these packets, or has one queue: see lbctl rss show IFACE"}
	}
	return nil
}
