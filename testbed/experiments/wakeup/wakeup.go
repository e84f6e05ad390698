// Package wakeup is the experiment on an event loop that forgets its workers. A server waits for events with epoll and
// has worker threads read from a slow disk. If it looks at their results only when some event has come, a request is
// not answered before somebody else does something: never, if nobody does. A notice from worker to loop cures it.
package wakeup

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"lbctl/testbed/disk"
	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
)

// Experiment is the entry of the lab's catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: "wakeup", Problem: "6",
		Question: "An event-driven server has worker threads read from disk, and looks at their results whenever an event has come: when does this fail, and what cures it?",
		Claim:    "(a) If only one request and no other traffic comes, the server never wakes up from its epoll loop. (b) The worker writes to a unix socket that the loop watches too.",
		Method:   "The server is a process with a raw epoll loop; each worker blocks in read(2) on a file system (FUSE) whose reads take a known time. Worker and loop read CLOCK_MONOTONIC when the read is done and when the answer is sent: the difference is the delay. An answer says what woke the loop: a client's event, a notice, or a timeout. How long a request is left alone can only be tested for a while: if it has no answer by then, another client connects, sooner in one try and later in another. Background traffic is a Poisson process of rate λ. What this machine adds to a delay, because a thread waits for a core, is measured by the lateness of that traffic; rounds in which it is more than 2 ms do not count.",
		Needs:    experiment.Needs{Time: 25 * time.Second, Quick: 9 * time.Second},
		Rig:      "loopback",
		Checks: []experiment.Statement{
			{Name: NeverWithoutEvent, Text: "without a notice, a lone request has no answer until another client connects"},
			{Name: FreedByAnEvent, Text: "without a notice, every answer is sent when another client's event wakes the loop"},
			{Name: EventFDAnswers, Text: "with an eventfd, a lone request is answered without any other event"},
			{Name: SocketPairAnswers, Text: "with a pair of unix sockets too"},
			{Name: DelayWhenSlow, Text: "without a notice the mean delay is 1/λ, where other events are few"},
			{Name: DelayWhenFast, Text: "and where they are many"},
			{Name: Memoryless, Text: "the delays are exponential: e^-2.5 of them are longer than 2.5 times 1/λ"},
			{Name: EventFDDelay, Text: "with an eventfd the delay is a small part of that, under the same traffic"},
			{Name: SocketPairDelay, Text: "with a pair of unix sockets too"},
			{Name: TimeoutDelay, Text: "a timeout of T on epoll_wait, without any other event, leaves a mean delay of T/2"},
		},
		Controls: []experiment.Statement{
			{Name: WithNotice, Text: "the check of silence is asked of the server with an eventfd"},
			{Name: WithoutNotice, Text: "the checks of the cures are asked of the server without one"},
			{Name: NoticeUnderLoad, Text: "the mean delay is compared with 1/λ where an eventfd makes it independent of λ"},
			{Name: UniformDelay, Text: "the delays of the server with a timeout, which are uniform, are taken for exponential ones"},
		},
		Predictions: []experiment.Prediction{
			{Name: "answered-in-silence", Kind: experiment.YesNo, Question: "The loop looks at results after each event. One client sends one request; the disk takes 5 ms; no one else is there. Is it answered within a second?"},
			{Name: "delay-at-20", Unit: "ms", Factor: 1.5, Question: "The same, but other clients cause 20 events a second, at random times. How long after the disk is done is the answer sent, on average?"},
			{Name: "delay-at-200", Unit: "ms", Factor: 1.5, Question: "And with 200 events a second?"},
			{Name: "delay-with-timeout", Unit: "% of T", Tolerance: 10, Question: "Instead, epoll_wait returns after a time T without events, and nobody else is there. How long after the disk is done is the answer sent, on average, in % of T?"},
			{Name: "pair-cures", Kind: experiment.YesNo, Question: "The worker writes a byte to a unix socket that the loop watches. Is a lone request answered without any other event?"},
		},
		Design: func() experiment.Design { return &design{} },
	}
}

// rates are those of the other events, in events a second: two where they are few, two where they are many.
var rates = []float64{20, 50, 100, 200}

// few is how many of rates are few.
const few = 2

// Times of reads from the disk. That of a lone request is longer than a busy machine keeps the loop from going back to sleep: a
// result that is there before needs no event.
const (
	loneRead  = 100 * time.Millisecond
	leastRead = 2 * time.Millisecond
)

// roundTime is about how long a round takes: each server gets as many requests as take that long.
const roundTime = 150 * time.Millisecond

// design implements experiment.Design.
type design struct {
	count            int
	silence, timeout time.Duration

	stations []*station
	lone     map[Notice][]lone
	rounds   []round
	noise    measure.Noise
}

// round is what was found in one round, in which all servers are asked at once.
type round struct {
	answers map[*station][]Answer
	// late is by how much, on average, the clients of other events woke up later than they had set their clocks to: how
	// long this machine lets a thread wait for a core.
	late time.Duration
}

// lone is a request without other traffic.
type lone struct {
	// Silent is for how long nothing else was done, unless the answer came.
	Silent time.Duration
	Answer
}

// Parameters implements experiment.Design.
func (d *design) Parameters(p *experiment.Parameters) {
	p.Int(&d.count, "rounds", experiment.Ints{Low: 20, High: 10_000, Default: 60, Quick: 20, Full: 400}, "how many rounds of requests under background traffic, some 0.25 s each")
	p.Duration(&d.silence, "silence", experiment.Durations{Low: 50 * time.Millisecond, High: time.Hour, Default: 3 * time.Second, Quick: time.Second, Full: 30 * time.Second}, "the longest silence after a request")
	p.Duration(&d.timeout, "timeout", experiment.Durations{Low: 5 * time.Millisecond, High: 50 * time.Millisecond, Default: 15 * time.Millisecond}, "the timeout of epoll_wait, T, rounded down to milliseconds")
}

// Arms implements experiment.Design.
func (d *design) Arms(ctx context.Context, r *experiment.Run) ([]experiment.Arm, error) {
	r.XDP, d.timeout = "not used", d.timeout.Truncate(time.Millisecond)
	host, err := r.Bed.Namespace("host")
	if err != nil {
		return nil, err
	}
	slow, err := disk.New()
	if err != nil {
		return nil, err
	}
	r.Bed.Closing(slow)
	d.stations = d.plan()
	for i, s := range d.stations {
		s.random = r.Random(uint64(i))
		if err := s.start(r.Program, host, 8000+i, serverConfig{Disk: slow.Path(""), Timeout: d.timeout}); err != nil {
			return nil, err
		}
		r.Bed.OnClose(s.end)
	}
	for _, s := range d.stations {
		if err := s.connect(); err != nil {
			return nil, err
		}
	}
	return []experiment.Arm{
		{Name: "a lone request", Steps: len(silences), Run: d.alone},
		{Name: "background traffic", Steps: d.count, Run: func(ctx context.Context) error { return d.load(ctx, r) }},
	}, nil
}

// plan lists the servers.
func (d *design) plan() (all []*station) {
	fixed := func(*rand.Rand) time.Duration { return leastRead }
	add := func(n Notice, rate float64) {
		all = append(all, &station{Notice: n, Rate: rate, requests: int(rate * roundTime.Seconds()), disk: fixed})
	}
	for _, rate := range rates {
		add(None, rate)
	}
	for _, n := range []Notice{EventFD, SocketPair} {
		add(n, rates[0])
		add(n, rates[len(rates)-1])
	}
	// The timeout begins anew with the request: only a read of random length ends at a random time within it.
	random := func(r *rand.Rand) time.Duration {
		return leastRead + time.Duration(r.Float64()*float64(d.timeout)).Round(time.Microsecond)
	}
	requests := max(leastOfTimeout, int(2*roundTime/(leastRead+d.timeout)))
	for range 2 {
		all = append(all, &station{Notice: Timeout, requests: requests, disk: random})
	}
	return all
}

// leastOfTimeout is how many requests a round has at least with a timeout: 20 rounds must tell a uniform distribution from
// an exponential one.
const leastOfTimeout = 15

// silences are the silences of a lone request, by the longest one.
var silences = []float64{0.05, 0.2, 1}

// alone makes lone requests to one server of each notice, all at once.
func (d *design) alone(ctx context.Context) error {
	d.lone = map[Notice][]lone{}
	var mu sync.Mutex
	done := map[Notice]bool{}
	return d.each(ctx, func(s *station) bool {
		first := !done[s.Notice]
		done[s.Notice] = true
		return first
	}, func(ctx context.Context, s *station) error {
		for _, share := range silences {
			silent := time.Duration(share * float64(d.silence))
			a, err := s.silence(ctx, loneRead, silent)
			if err != nil {
				return err
			}
			mu.Lock()
			d.lone[s.Notice] = append(d.lone[s.Notice], lone{silent, a})
			mu.Unlock()
		}
		return nil
	})
}

// each does something with some stations at once. When ctx ends, what waits for an answer fails.
func (d *design) each(ctx context.Context, which func(*station) bool, do func(context.Context, *station) error) error {
	stop := context.AfterFunc(ctx, func() {
		for _, s := range d.stations {
			_ = s.client.Close()
		}
	})
	defer stop()
	failed := make([]error, len(d.stations))
	var all sync.WaitGroup
	for i, s := range d.stations {
		if which(s) {
			all.Go(func() { failed[i] = do(ctx, s) })
		}
	}
	all.Wait()
	return errors.Join(failed...)
}

// load makes requests in rounds, under background traffic.
func (d *design) load(ctx context.Context, r *experiment.Run) (err error) {
	quiet, silence := context.WithCancel(ctx)
	var traffic sync.WaitGroup
	failed := make([]error, len(d.stations))
	for i, s := range d.stations {
		if s.Rate > 0 {
			random := r.Random(uint64(len(d.stations) + i))
			traffic.Go(func() { failed[i] = s.disturb(quiet, random) })
		}
	}
	before, err := measure.Take()
	_, warm := d.round(ctx)
	err = errors.Join(err, warm)
	// In the place of rounds that do not count up to a third more are run.
	for counted := 0; counted < d.count && len(d.rounds) < d.count+d.count/3 && err == nil; {
		r.At(min(len(d.rounds), d.count))
		var this round
		this, err = d.round(ctx)
		d.rounds = append(d.rounds, this)
		counted += experiment.One(this.counts())
	}
	silence()
	traffic.Wait()
	after, takeErr := measure.Take()
	d.noise = after.Noise(before)
	return errors.Join(append(failed, err, takeErr)...)
}

func (d *design) round(ctx context.Context) (round, error) {
	this := round{answers: map[*station][]Answer{}}
	var mu sync.Mutex
	err := d.each(ctx, func(*station) bool { return true }, func(ctx context.Context, s *station) error {
		answers, err := s.round(ctx)
		mu.Lock()
		defer mu.Unlock()
		this.answers[s] = answers
		return err
	})
	events := 0
	for _, s := range d.stations {
		late, n := s.lateness.take()
		this.late, events = this.late+late, events+n
	}
	this.late /= time.Duration(max(events, 1))
	return this, err
}

// Conclude implements experiment.Design.
func (d *design) Conclude(r *experiment.Run) error {
	e := evidence{stations: d.stations, lone: d.lone, rounds: d.rounds, timeout: d.timeout, seed: r.Seed, falseAlarm: measure.FalseAlarm / judged}
	r.Noise = fmt.Sprintf("%s; in the median round threads that had set a clock ran %.2f ms late", measure.Describe([]measure.Noise{d.noise}),
		measure.Median(measure.Collect(d.rounds, func(r round) float64 { return r.late.Seconds() * 1e3 })))
	checks := e.checks()
	r.Check(checks...)
	r.Control(e.controls()...)
	e.answer(r)
	r.Table(claims(checks), e.loneTable(), e.delayTable())
	figures, err := e.figures()
	r.Figure(figures...)
	return err
}

// exponential is the share of an exponential distribution beyond some means.
func exponential(means float64) float64 { return math.Exp(-means) }
