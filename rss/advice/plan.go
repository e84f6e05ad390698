package advice

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"lbctl/rss"
	"lbctl/rss/balance"
	"lbctl/rss/replay"
	"lbctl/rss/setup"
)

// ErrNoLoad is returned when no packet of the observation picked an entry of the table.
var ErrNoLoad = errors.New("nothing came to any entry")

// Request is what is wanted of a plan.
type Request struct {
	// Interface is the name in the commands.
	Interface string
	Measure   replay.Measure
	// Budget is the number of flows that may move, Unlimited for all.
	Budget uint64
}

// Unlimited is the Budget that lets every flow move.
const Unlimited = math.MaxUint64

// ParseBudget reads "100" or "5%" of the flows observed.
func ParseBudget(s string, o replay.Observed) (uint64, error) {
	percent, isShare := strings.CutSuffix(s, "%")
	if !isShare {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%q: want a number of flows, or a percentage", s)
		}
		return n, nil
	}
	share, err := strconv.ParseFloat(percent, 64)
	if err != nil || !(share >= 0 && share <= 100) {
		return 0, fmt.Errorf("%q: want 0%% to 100%%", s)
	}
	if share == 100 {
		return Unlimited, nil
	}
	flows := uint64(0)
	for _, b := range o.Buckets {
		flows += b.Flows
	}
	return uint64(share / 100 * float64(flows)), nil
}

// Plan is a planned indirection table and what it would change. Scripts rely on its JSON names.
type Plan struct {
	replay.Verdict
	Measure replay.Measure `json:"measure"`
	Queues  int            `json:"queue_count"`
	// Budget is the number of flows that may move; absent when all may.
	Budget *uint64   `json:"budget,omitempty"`
	Now    State     `json:"load_now"`
	After  State     `json:"load_after"`
	Table  rss.Table `json:"table"`
	Moved  Moved     `json:"moved"`
	// Commands set the table. Applied is true when it was set.
	Commands []string `json:"commands"`
	Applied  bool     `json:"applied"`
	// Weights is the best table that ethtool -X weight can set, absent when ethtool can set Table itself.
	Weights *Weights `json:"weights,omitempty"`
	// Steps are the states from the present table to the planned one.
	Steps  []Step   `json:"steps"`
	WhatIf []WhatIf `json:"what_if,omitempty"`
}

// State is the load of the queues under a table.
type State struct {
	MaxMean float64  `json:"max_mean"`
	Hottest int      `json:"hottest"`
	Loads   []uint64 `json:"loads"`
}

// Moved is what goes to another queue than now. The shares are of all flows and of all load, 0 to 1.
type Moved struct {
	Entries   int     `json:"entries"`
	Flows     uint64  `json:"flows"`
	FlowShare float64 `json:"flow_share"`
	LoadShare float64 `json:"load_share"`
}

// Weights is a table of consecutive runs.
type Weights struct {
	Command string  `json:"command"`
	MaxMean float64 `json:"max_mean"`
	Moved   Moved   `json:"moved"`
}

// Step is the state after so many entries and flows have moved.
type Step struct {
	Entries int     `json:"entries"`
	Flows   uint64  `json:"flows"`
	MaxMean float64 `json:"max_mean"`
}

// WhatIf is a plan for another setup of the NIC.
type WhatIf struct {
	Name string `json:"name"`
	// Moved is what goes to another queue as soon as the setup is changed.
	Moved replay.Load `json:"moved"`
	// MaxMean is the imbalance under the default table of the setup, Planned that under Table.
	MaxMean float64   `json:"max_mean"`
	Planned float64   `json:"planned_max_mean"`
	Table   rss.Table `json:"table"`
	// Commands change the setup; TableCommands then set Table.
	Commands      []string `json:"commands"`
	TableCommands []string `json:"table_commands"`
}

// New plans a table for what was observed. The error is ErrNoLoad or says what of the observation is impossible.
func New(o replay.Observed, r Request) (*Plan, error) {
	p := problem(o, r.Measure, r.Budget)
	best, err := balance.Rebalance(p)
	if err != nil {
		return nil, err
	}
	now := stateOf(loadsUnder(p, p.Table))
	if len(now.Loads) == 0 || math.IsNaN(now.MaxMean) {
		return nil, fmt.Errorf("plan indirection table: %w", ErrNoLoad)
	}
	plan := &Plan{
		Measure: r.Measure, Queues: o.Queues, Now: now, After: stateOf(best.Loads), Table: best.Table,
		Moved: movedBetween(p, best.Table), Commands: commandsFor(best, r.Interface),
	}
	if r.Budget != Unlimited {
		plan.Budget = &r.Budget
	}
	hottest := max(slices.Max(plan.After.Loads), 1)
	for _, s := range best.Steps {
		plan.Steps = append(plan.Steps, Step{s.Entries, s.Flows, float64(s.Hottest) / float64(hottest) * plan.After.MaxMean})
	}
	if _, simple := EthtoolTable(best.Table); !simple {
		plan.Weights = bestWeights(p, r.Interface)
	}
	plan.Verdict = plan.verdict()
	return plan, nil
}

// verdict says whether to set the table: its kind is even, budget, none or table.
func (p *Plan) verdict() replay.Verdict {
	now := fmt.Sprintf("the busiest queue has %.2f of the mean", p.Now.MaxMean)
	switch {
	case p.Moved.Entries > 0:
		return replay.Verdict{Kind: "table", Text: fmt.Sprintf("Set the planned table: %s, then %.2f; flows that move: %d (%.1f %%).",
			now, p.After.MaxMean, p.Moved.Flows, 100*p.Moved.FlowShare)}
	case p.Now.MaxMean <= replay.NearlyEven:
		return replay.Verdict{Kind: "even", Text: fmt.Sprintf("Nothing to do: the load is even, %s.", now)}
	case p.Budget != nil:
		return replay.Verdict{Kind: "budget", Text: fmt.Sprintf("Nothing to do within the budget of %d flows: %s.", *p.Budget, now)}
	}
	return replay.Verdict{Kind: "none", Text: fmt.Sprintf("No table helps: %s; see lbctl rss replay for the cause.", now)}
}

// NewWhatIf plans a table for a setup that a replay compared with another: from is the present setup, to the compared one.
func NewWhatIf(c *replay.Compared, from, to setup.Setup, r Request) (WhatIf, error) {
	p := problem(c.Observed(), r.Measure, Unlimited)
	best, err := balance.Rebalance(p)
	if err != nil {
		return WhatIf{}, err
	}
	w := WhatIf{
		Name: c.Name, Moved: c.Moved, Table: best.Table, TableCommands: commandsFor(best, r.Interface),
		MaxMean: balance.MaxMean(loadsUnder(p, p.Table)), Planned: balance.MaxMean(best.Loads),
	}
	w.Commands, err = SetupCommands(r.Interface, from, to)
	return w, err
}

func commandsFor(p balance.Plan, iface string) []string {
	if p.Entries == 0 {
		return []string{"# nothing to do"}
	}
	return TableCommands(iface, p.Table)
}
