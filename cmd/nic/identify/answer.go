package identify

import (
	"encoding/hex"
	"fmt"
	"strings"

	"lbctl/rss/identify"
)

// answer is what lbctl rss identify prints. Scripts rely on its JSON names.
type answer struct {
	Verdict string `json:"verdict"`
	// By is "hash" or "queue".
	By           string       `json:"by"`
	Observations int          `json:"observations"`
	Distinct     int          `json:"distinct"`
	Model        *modelFound  `json:"model,omitempty"`
	Also         []string     `json:"also,omitempty"`
	Conflicts    [][2]pointed `json:"conflicts,omitempty"`
	Table        *turnTable   `json:"in_turn,omitempty"`
	Notes        []string     `json:"notes,omitempty"`
	Given        []givenKey   `json:"given_keys,omitempty"`

	verdict identify.Verdict
	queues  int // the highest observed, plus 1
}

// givenKey says whether the observations exclude a key that was given, in how many ways it was tried, and what is left.
type givenKey struct {
	Key      string `json:"key"`
	Excluded bool   `json:"excluded"`
	Ways     int    `json:"ways_tried"`
	Left     string `json:"left,omitempty"`
}

func (k givenKey) String() string {
	if !k.Excluded {
		return fmt.Sprintf("not excluded (%d ways tried)", k.Ways)
	}
	return fmt.Sprintf("excluded: it fits in none of the %d ways that were tried; left %s", k.Ways, k.Left)
}

// left says which keys the observations leave.
func left(m *identify.Model) string {
	switch {
	case m == nil:
		return "is no key of a known hash function"
	case m.Key == nil:
		return "is " + m.Function + ", which has no key"
	case m.KeyName != "":
		return "is " + m.KeyName
	}
	return fmt.Sprintf("are the keys with the known digits below: %d bits are free", m.Freedom)
}

// turnTable is a table that is filled in turn and has one of these sizes.
type turnTable struct {
	Queues int   `json:"queue_count"`
	Sizes  []int `json:"table_sizes"`
}

func (t *turnTable) String() string {
	if t.Queues&(t.Queues-1) == 0 {
		return fmt.Sprintf("%d queues in turn, of any size", t.Queues)
	}
	sizes := strings.Trim(fmt.Sprint(t.Sizes), "[]")
	return fmt.Sprintf("%d queues in turn, of %s entries", t.Queues, strings.ReplaceAll(sizes, " ", " or "))
}

type modelFound struct {
	Function string `json:"function"`
	// Key explains the observations. Only the bits in Known are certain, unless KeyName names the whole key.
	Key          string        `json:"key,omitempty"`
	KeyName      string        `json:"key_name,omitempty"`
	Known        string        `json:"known,omitempty"`
	Undetermined []string      `json:"undetermined,omitempty"`
	FreeBits     int           `json:"free_bits"`
	Initial      string        `json:"initial"`
	InitialKnown string        `json:"initial_known"`
	Header       string        `json:"header"`
	Order        string        `json:"order"`
	Bytes        string        `json:"byte_order"`
	Output       string        `json:"output"`
	Classes      []classFields `json:"classes"`
	TableSize    int           `json:"table_entries,omitempty"`
	Evidence     int           `json:"evidence_bits"`
	Wrong        []pointed     `json:"wrong,omitempty"`

	arrangement, pattern string
}

type classFields struct {
	Class        string   `json:"class"`
	Fields       string   `json:"fields"`
	Observations int      `json:"observations"`
	Also         []string `json:"also,omitempty"`
}

// pointed names an observation.
type pointed struct {
	Line int    `json:"line,omitempty"`
	Flow string `json:"text"`
}

func (p pointed) String() string {
	if p.Line > 0 {
		return fmt.Sprintf("line %d", p.Line)
	}
	return p.Flow
}

func newAnswer(observations []identify.Observation, r identify.Result) *answer {
	said := &answer{
		Verdict: r.Verdict.String(), By: map[bool]string{true: "hash", false: "queue"}[r.ByHash],
		Observations: len(observations), Distinct: r.Distinct, Notes: r.Notes, verdict: r.Verdict,
	}
	if r.Table != nil {
		said.Table = &turnTable{r.Table.Queues, r.Table.Sizes}
	}
	for _, o := range observations {
		said.queues = max(said.queues, int(o.Queue)+1)
	}
	point := func(i int) pointed {
		o := observations[i]
		if o.Input != nil {
			return pointed{o.Line, "input " + hex.EncodeToString(o.Input)}
		}
		return pointed{o.Line, o.Flow.String()}
	}
	for _, g := range r.Given {
		k := givenKey{Key: g.Key.String(), Excluded: g.Excluded, Ways: g.Ways}
		if k.Excluded {
			k.Left = left(r.Model)
		}
		said.Given = append(said.Given, k)
	}
	for _, a := range r.Also {
		said.Also = append(said.Also, a.String())
	}
	for _, pair := range r.Conflicts {
		said.Conflicts = append(said.Conflicts, [2]pointed{point(pair[0]), point(pair[1])})
	}
	if r.Model != nil {
		said.Model = newModelFound(r.Model)
		for _, i := range r.Model.Wrong {
			said.Model.Wrong = append(said.Model.Wrong, point(i))
		}
	}
	return said
}

func newModelFound(m *identify.Model) *modelFound {
	found := &modelFound{
		Function: m.Function, KeyName: m.KeyName, FreeBits: m.Freedom,
		Initial: fmt.Sprintf("0x%08x", m.Initial), InitialKnown: fmt.Sprintf("0x%08x", m.InitialKnown),
		Header: m.Header.String(), Order: m.Order.String(), Bytes: m.Bytes.String(), Output: m.Output.String(),
		TableSize: m.TableSize, Evidence: m.Evidence, arrangement: m.Arrangement.String(),
	}
	if m.Key != nil {
		found.Key, found.Known, found.pattern = m.Key.String(), hex.EncodeToString(m.Known), keyPattern(m)
		for _, r := range m.Undetermined() {
			found.Undetermined = append(found.Undetermined, r.String())
		}
	}
	for _, c := range m.Classes {
		fields := classFields{Class: c.Class, Fields: c.Fields.String(), Observations: c.Observations}
		if c.Class == "input" {
			fields.Fields = "all of it"
		}
		for _, f := range c.Also {
			fields.Also = append(fields.Also, f.String())
		}
		found.Classes = append(found.Classes, fields)
	}
	return found
}
