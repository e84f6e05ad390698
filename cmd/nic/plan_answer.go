package nic

import (
	"errors"
	"math"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/balance"
	"lbctl/rss/replay"
)

// tablePlan is the answer of lbctl rss plan; scripts rely on its names.
type tablePlan struct {
	Measure replay.Measure `json:"measure"`
	Queues  int            `json:"queue_count"`
	// Budget is the number of flows that may move; left out when all may.
	Budget *uint64   `json:"budget,omitempty"`
	Now    planState `json:"load_now"`
	After  planState `json:"load_after"`
	// Table is the one planned.
	Table rss.Table `json:"table"`
	// Moved is what comes to another queue: entries, flows and their share of all, and of the load.
	Moved planMoved `json:"moved"`
	// Commands set the table.
	Commands []string `json:"commands"`
	// Weights is the best that ethtool -X weight can set, when that is not the table itself.
	Weights *planWeights `json:"weights,omitempty"`
	Steps   []planStep   `json:"steps"`
	WhatIf  []whatIf     `json:"what_if,omitempty"`
}

// planState is the load of queues under a table.
type planState struct {
	MaxMean float64  `json:"max_mean"`
	Hottest int      `json:"hottest"`
	Loads   []uint64 `json:"loads"`
}

type planMoved struct {
	Entries   int     `json:"entries"`
	Flows     uint64  `json:"flows"`
	FlowShare float64 `json:"flow_share"`
	LoadShare float64 `json:"load_share"`
}

type planWeights struct {
	Command string    `json:"command"`
	MaxMean float64   `json:"max_mean"`
	Moved   planMoved `json:"moved"`
}

type planStep struct {
	Entries int     `json:"entries"`
	Flows   uint64  `json:"flows"`
	MaxMean float64 `json:"max_mean"`
}

// problem makes of an observation what the planner takes.
func problem(o replay.Observed, m replay.Measure, budget uint64) balance.Problem {
	p := balance.Problem{Table: o.Table(), Queues: o.Queues, Fixed: []uint64{loadBy(o.Unhashed, m)}, Budget: budget}
	for _, b := range o.Buckets {
		p.Buckets = append(p.Buckets, balance.Bucket{Load: loadBy(b.Load, m), Flows: b.Flows})
	}
	return p
}

func newTablePlan(o replay.Observed, f *planFlag, budget uint64) (*tablePlan, error) {
	p := problem(o, f.by, budget)
	best, err := balance.Rebalance(p)
	if err != nil {
		return nil, &cli.Failure{Code: cli.ExitUsage, What: err.Error(), Do: "see --queues", Cause: err}
	}
	now := stateOf(loadsUnder(p, p.Table))
	if len(now.Loads) == 0 || math.IsNaN(now.MaxMean) {
		return nil, &cli.Failure{Code: cli.ExitUsage, What: "plan indirection table: nothing came to any entry", Do: "observe some traffic", Cause: errors.New("no load")}
	}
	plan := &tablePlan{
		Measure: f.by, Queues: o.Queues, Now: now, After: stateOf(best.Loads), Table: best.Table,
		Moved: movedBetween(p, best.Table), Commands: tableCommands(f.iface, best.Table, o.Queues, best.Entries == 0),
	}
	if budget != math.MaxUint64 {
		plan.Budget = &budget
	}
	for _, s := range best.Steps {
		ratio := float64(s.Hottest) / float64(max(plan.After.hottest(), 1)) * plan.After.MaxMean
		plan.Steps = append(plan.Steps, planStep{s.Entries, s.Flows, ratio})
	}
	if _, simple := simpleTable(best.Table); !simple {
		plan.Weights = bestWeights(p, f.iface)
	}
	return plan, nil
}

// stateOf describes loads.
func stateOf(loads []uint64) planState {
	s := planState{MaxMean: balance.MaxMean(loads), Loads: loads}
	for q, l := range loads {
		if l > loads[s.Hottest] {
			s.Hottest = q
		}
	}
	return s
}

func (s planState) hottest() uint64 { return s.Loads[s.Hottest] }

// loadsUnder returns the loads of the queues under a table; an entry may name a queue that is no more.
func loadsUnder(p balance.Problem, table rss.Table) []uint64 {
	loads := make([]uint64, max(p.Queues, table.Queues()))
	copy(loads, p.Fixed)
	for i, b := range p.Buckets {
		loads[table[i]] += b.Load
	}
	return loads
}

// movedBetween says what comes to another queue under a table.
func movedBetween(p balance.Problem, table rss.Table) planMoved {
	var m planMoved
	var flows, load, moved uint64
	for i, b := range p.Buckets {
		flows, load = flows+b.Flows, load+b.Load
		if table[i] != p.Table[i] {
			m.Entries++
			m.Flows += b.Flows
			moved += b.Load
		}
	}
	load += p.Fixed[0]
	m.FlowShare, m.LoadShare = part(m.Flows, flows), part(moved, load)
	return m
}
