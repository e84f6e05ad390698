package main

import (
	"fmt"
	"io"
	"strings"

	"lbctl/rss/identify"
)

// keyPattern is the key with a dot for each digit of which a bit is not known; all of it if it has a name.
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
func (r *identifyAnswer) show(w io.Writer) {
	what := map[string]string{"hash": "hashes", "queue": "queues"}[r.By]
	row(w, "verdict", fmt.Sprintf("%s, by the %s of %d observations", r.Verdict, what, r.Distinct))
	if r.Model != nil {
		r.Model.show(w)
	}
	for _, also := range r.Also[:min(few, len(r.Also))] {
		row(w, "or", also)
	}
	if n := len(r.Also); n > few {
		row(w, "or", fmt.Sprintf("%d other ways (-o json has all)", n-few))
	}
	for _, pair := range r.Conflicts {
		row(w, "conflict", fmt.Sprintf("%v and %v are of one packet", pair[0], pair[1]))
	}
	if r.Table != nil {
		row(w, "table", r.Table)
	}
	for _, note := range r.Notes {
		row(w, "note", note)
	}
}

// few is how many of a kind are named for a reader.
const few = 8

func (m *modelFound) show(w io.Writer) {
	row(w, "function", m.Function)
	if m.Key != "" {
		row(w, "key", m.pattern)
		if m.KeyName != "" {
			row(w, "key is", m.KeyName)
		} else {
			row(w, "undetermined", fmt.Sprintf("key bits %s; %d bits are free", strings.Join(m.Undetermined, ", "), m.FreeBits))
		}
	}
	row(w, "initial value", m.Initial)
	row(w, "input", m.arrangement)
	for _, c := range m.Classes {
		fields := c.Fields
		if len(c.Also) > 0 {
			fields += ", or " + strings.Join(c.Also, ", or ")
		}
		row(w, "fields of "+c.Class, fmt.Sprintf("%s (%d observations)", fields, c.Observations))
	}
	if m.TableSize > 0 {
		row(w, "table", fmt.Sprintf("%d entries", m.TableSize))
	}
	row(w, "evidence", fmt.Sprintf("%d bits that could have contradicted and did not", m.Evidence))
	if n := len(m.Wrong); n > 0 {
		var some []string
		for _, p := range m.Wrong[:min(n, few)] {
			some = append(some, p.String())
		}
		if n > few {
			some = append(some, "... (-o json has all)")
		}
		row(w, "contradict", fmt.Sprintf("%d: %s", n, strings.Join(some, ", ")))
	}
}

// failure is the error of an answer that identifies nothing.
func (r *identifyAnswer) failure() error {
	switch r.verdict {
	case identify.Undetermined:
		return &failure{code: exitFailed, what: "the observations are too few to tell", hint: "observe more flows: other addresses and ports, both directions, other protocols"}
	case identify.Unexplained:
		return &failure{code: exitFailed, what: "no model that is known explains the observations", hint: "look for packets whose key, table or tunnel was another one, and try those of one kind alone"}
	case identify.Constant:
		return &failure{code: exitFailed, what: fmt.Sprintf("every observation has the same %s", r.By), hint: "the NIC does not hash these packets, or has one queue: see lbctl rss show IFACE"}
	}
	return nil
}
