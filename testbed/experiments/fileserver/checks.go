package fileserver

import (
	"fmt"
	"time"

	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// Names of the checks.
const (
	ServedAtOnce        = "served-at-once"
	Speedup             = "speedup"
	ZombiesStay         = "zombies-stay"
	ReapedByNext        = "reaped-by-the-next"
	ReapedByHandler     = "reaped-by-handler"
	ReapedByKernel      = "reaped-by-kernel"
	DescriptorsConstant = "descriptors-constant"
	EndSeen             = "end-seen"
)

// Names of the controls.
const (
	OneByOne       = "one-by-one"
	ReapedAnyway   = "reaped-anyway"
	NobodyWaits    = "nobody-waits"
	ForgottenClose = "forgotten-close"
	SerialAlone    = "serial-with-itself"
)

// evidence is what the arms found.
type evidence struct {
	clients int
	// nominal is how long one client takes, by the disk and its own pauses.
	nominal time.Duration
	held    map[string]Held
	races   *measure.Rounds[Race]
}

// judged is how many checks and controls rest on times: they share the false-alarm rate of a run.
const judged = 2

func (e evidence) checks() []report.Check {
	return []report.Check{
		atOnce(e.held[handler]), e.speedup().Check(e.ratio()), stay(e.held[never]), byNext(e.held[beforeAccept]),
		gone(ReapedByHandler, e.held[handler]), gone(ReapedByKernel, e.held[ignored]), descriptors(e.held[handler]), ends(e.held[handler]),
	}
}

func (e evidence) controls() []report.Check {
	lost := e.held[forgetful]
	itself := e.speedup()
	itself.Name, itself.Detail = SerialAlone, "Time of the serial server by its own in the next round. "+Speedup+" would fail."
	return []report.Check{
		experiment.MustFail(OneByOne, "", atOnce(e.held[serial])),
		experiment.MustFail(ReapedAnyway, "", stay(e.held[ignored])),
		experiment.MustFail(NobodyWaits, "", gone(ReapedByHandler, e.held[never]), byNext(e.held[never])),
		experiment.MustFail(ForgottenClose, fmt.Sprintf("The kernel kept %d connections open for the parent; when that was ended, %d clients saw the end.", lost.CloseWait, lost.EndedLast), ends(lost), descriptors(lost)),
		itself.Control(e.itself()),
	}
}

func atOnce(h Held) report.Check {
	return report.Check{
		Name: ServedAtOnce, Measured: h.Answered, Expected: h.Clients, Pass: h.Answered == h.Clients && h.Clients > 0,
		Detail: fmt.Sprintf("While %d clients were connected and stayed, %d had an answer; the server had %d children.", h.Clients, h.Answered, h.Children),
	}
}

// stay demands a zombie for each client, later ones too.
func stay(h Held) report.Check {
	return report.Check{
		Name: ZombiesStay, Measured: h.Zombies, Expected: h.Clients, Pass: h.Zombies == h.Clients && h.ZombiesNext == h.Clients && h.Clients > 0,
		Detail: fmt.Sprintf("When %d clients had gone, %d children were zombies; after the next client had come, %d.", h.Clients, h.Zombies, h.ZombiesNext),
	}
}

// byNext demands that zombies stay until the next client comes.
func byNext(h Held) report.Check {
	c := stay(h)
	c.Name, c.Measured, c.Expected = ReapedByNext, fmt.Sprintf("%d, then %d", h.Zombies, h.ZombiesNext), fmt.Sprintf("%d, then 0", h.Clients)
	c.Pass = h.Zombies == h.Clients && h.ZombiesNext == 0 && h.Clients > 0
	return c
}

func gone(name string, h Held) report.Check {
	c := stay(h)
	c.Name, c.Expected, c.Pass = name, 0, h.Zombies == 0 && h.ZombiesNext == 0 && h.Children == h.Clients && h.Clients > 0
	return c
}

func descriptors(h Held) report.Check {
	return report.Check{
		Name: DescriptorsConstant, Measured: h.After - h.Before, Expected: 0, Pass: h.After == h.Before && h.Before > 0,
		Detail: fmt.Sprintf("The parent had %d descriptors before the first of %d clients came, and %d after the last had gone.", h.Before, h.Clients, h.After),
	}
}

func ends(h Held) report.Check {
	return report.Check{
		Name: EndSeen, Measured: h.Ended, Expected: h.Clients, Pass: h.Ended == h.Clients && h.CloseWait == 0 && h.Clients > 0,
		Detail: fmt.Sprintf("When all children had ended, %d of %d clients had seen the end of file.", h.Ended, h.Clients),
	}
}

// took is the time of a race in seconds.
func took(r Race) float64 { return r.Took.Seconds() }

// ratio is the median time of the serial server by that of the one that forks, in the same round.
func (e evidence) ratio() measure.Estimate {
	return e.races.Pairs(serialAll, forkedAll, took, measure.Ratio).Median(measure.FalseAlarm / judged)
}

// itself is the median time of the serial server by its own in the next round.
func (e evidence) itself() measure.Estimate {
	all, next := e.races.All(serialAll), 0
	return e.races.Sample(serialAll, func(r Race) float64 {
		next = (next + 1) % len(all)
		return took(r) / took(all[next])
	}).Median(measure.FalseAlarm / judged)
}

// speedup demands two fifths of K at least: the forks come one after the other, and each takes milliseconds where the
// kernel has to fetch the pages that parent and child no longer share.
func (e evidence) speedup() measure.Claim {
	k := float64(e.clients)
	return measure.Claim{
		Name: Speedup, Want: measure.Within(0.4*k, 1.1*k), Size: fmt.Sprintf("%d clients, each of which takes %v", e.clients, e.nominal),
		Detail: fmt.Sprintf("Time that the serial server needs for %d clients by that of the server that forks, in the same round.", e.clients),
	}
}
