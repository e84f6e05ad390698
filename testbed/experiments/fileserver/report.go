package fileserver

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// claims answers the question from the checks.
func claims(checks []report.Check) report.Table {
	return experiment.Claims(checks, experiment.Finding{
		Question: "When does a file server fork a child, when does it reap it, and who does what?",
		Answer:   "Fork when accept returns; the child talks to the client and reads the disk, with the connection that the fork copied; the parent closes its copy and accepts the next one. Reaping before accept works, but the last children stay as zombies until somebody else comes; SIGCHLD leaves none.",
	})
}

func ms(d time.Duration) float64 { return math.Round(float64(d)/1e4) / 100 }

func (e evidence) heldTable() report.Table {
	t := report.Table{
		Name: "Clients that come, stay until all that can be are answered, and go",
		Columns: []string{"server", "clients", "answered while all stayed", "children then", "zombies when all had gone", "zombies after one more",
			"descriptors before", "and after", "saw the end of file", "kept open by the parent", "saw it when the parent ended"},
	}
	for _, s := range servers {
		h := e.held[s.name]
		t.Rows = append(t.Rows, []any{s.name, h.Clients, h.Answered, h.Children, h.Zombies, h.ZombiesNext, h.Before, h.After, h.Ended, h.CloseWait, h.EndedLast})
	}
	return t
}

// took is the median time of an arm in ms, with its interval for display.
func (e evidence) took(arm string) measure.Estimate {
	return e.races.Sample(arm, func(r Race) float64 { return 1e3 * took(r) }).Median(0.025)
}

func (e evidence) timeTable() report.Table {
	t := report.Table{Name: "Time for all clients, ms", Columns: []string{"server", "clients", "median, ms", "expected, ms", "95 % interval"}}
	for _, arm := range []struct {
		name     string
		clients  int
		expected time.Duration
	}{
		{alone, 1, e.nominal}, {serialHalf, e.clients / 2, time.Duration(e.clients/2) * e.nominal}, {serialAll, e.clients, time.Duration(e.clients) * e.nominal},
		{forkedHalf, e.clients / 2, e.nominal}, {forkedAll, e.clients, e.nominal},
	} {
		took := e.took(arm.name)
		t.Rows = append(t.Rows, []any{arm.name, arm.clients, measure.Round(took.Value, 1), ms(arm.expected), fmt.Sprintf("%.1f to %.1f", took.Low, took.High)})
	}
	return t
}

// answer enters the headline, and what the predictions are held against.
func (e evidence) answer(r *experiment.Run) {
	ratio, lost := e.ratio(), e.held[forgetful]
	r.Headline("%d slow clients took the serial server %.1f times as long as one that forks. Never reaped, %d of %d children stayed as zombies, and reaped before accept %d until the next client came. With the parent's close forgotten %d of %d clients saw the end of file.",
		e.clients, ratio.Value, e.held[never].Zombies, e.clients, e.held[beforeAccept].Zombies, lost.Ended, lost.Clients)
	r.Quantity(
		ratio.Quantity("speedup", "times"),
		report.Quantity{Name: "zombies-never-reaped", Value: e.held[never].Zombies, Unit: "zombies"},
		report.Quantity{Name: "zombies-before-accept", Value: e.held[beforeAccept].Zombies, Unit: "zombies"},
		report.Quantity{Name: "end-seen-after-forgotten-close", Value: lost.Ended > 0},
	)
}

func (e evidence) figures() ([]report.Figure, error) {
	race, err := e.raceFigure()
	if err != nil {
		return nil, err
	}
	times, err := e.timeFigure()
	return []report.Figure{race, times}, err
}

// raceFigure draws the round in which the server that forks took the median time.
func (e evidence) raceFigure() (report.Figure, error) {
	rounds, forked := e.races.All(serialAll), e.races.All(forkedAll)
	order := make([]int, len(rounds))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(forked[a].Took, forked[b].Took) })
	typical := order[len(order)/2]
	const most = 6
	var tracks []report.Track
	for _, part := range []struct {
		name string
		race Race
	}{{"serial", rounds[typical]}, {"forked", forked[typical]}} {
		first, end := slices.Clone(part.race.First), slices.Clone(part.race.End)
		slices.Sort(first)
		slices.Sort(end)
		for i := range min(len(end), most) {
			tracks = append(tracks, report.Track{Name: fmt.Sprintf("%s: client %d", part.name, i+1), Spans: []report.Span{
				{To: ms(first[i]), Label: "waits", Idle: true}, {From: ms(first[i]), To: ms(end[i]), Label: "served"}}})
		}
	}
	return report.Timeline("race", "Slow clients, one after the other and at once",
		"One round. Each client waits for its first file, and is then served until the end of file; clients are in the order of their service. All are connected at once: the kernel has established the connections that the serial server has not accepted yet.",
		report.Axis{Label: "time since all clients came, ms", Max: 1.03 * ms(rounds[typical].Took)}, tracks...)
}

func (e evidence) timeFigure() (report.Figure, error) {
	at := func(arm string, clients int) report.Point { return e.took(arm).Point(float64(clients)) }
	nominal := 1e3 * e.nominal.Seconds()
	return report.Lines("times", "Time by the number of clients",
		"Median time until all clients are done, with 95 % intervals. Dashed: one client's time, and as many times that as there are clients.",
		report.Chart{X: report.Axis{Label: "clients", Min: 0.5, Max: float64(e.clients) + 0.5}, Y: report.Axis{Label: "time for all, ms"}, Series: []report.Series{
			{Name: "serial", Points: []report.Point{at(alone, 1), at(serialHalf, e.clients/2), at(serialAll, e.clients)}},
			{Name: "forked", Points: []report.Point{at(forkedHalf, e.clients/2), at(forkedAll, e.clients)}},
			report.Curve("one's time, K times it", 1, float64(e.clients), func(k float64) float64 { return k * nominal }),
			report.Curve("one's time", 1, float64(e.clients), func(float64) float64 { return nominal }),
		}})
}
