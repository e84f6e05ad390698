package health

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"lbctl/control/intent"
)

// target is a replica that is checked. The goroutine of Run has it alone, but for what a check under way reads.
type target struct {
	Key
	service *intent.Service
	judge   judge
	window  window
	due     time.Time
	index   int // in the heap, -1 while it is not in it
	// gone: it is not to be checked any more.
	gone bool
}

// queue is a heap of targets by the time when they are due.
type queue []*target

func (q queue) Len() int           { return len(q) }
func (q queue) Less(a, b int) bool { return q[a].due.Before(q[b].due) }
func (q queue) Swap(a, b int)      { q[a], q[b] = q[b], q[a]; q[a].index, q[b].index = a, b }
func (q *queue) Push(x any)        { t := x.(*target); t.index = len(*q); *q = append(*q, t) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	t := (*q)[last]
	(*q)[last] = nil
	*q, t.index = (*q)[:last], -1
	return t
}

// lane is what bounds the checks of a kind that are under way.
type lane struct {
	running, most int
	waiting       []*target
}

// ended is a check that has ended.
type ended struct {
	of    *target
	check intent.Check
	found error
}

// runner is what Run has.
type runner struct {
	*Checker
	targets  map[Key]*target
	queue    queue
	sockets  lane
	commands lane
	done     chan ended
	checks   sync.WaitGroup
	// jobs is where workers wait that have nothing to do; idle is how many.
	jobs chan func()
	idle int
	// groups are the services whose traffic is looked at; looking: such a look is under way.
	groups   []group
	looking  bool
	nextLook time.Time
	counted  chan counted
}

// mostIdle is how many workers are kept whose stacks have grown already: to grow one takes a tenth of a check.
const mostIdle = 64

// grain is how long is slept at least, so that checks that are due close to each other are begun together.
const grain = time.Millisecond

// Run runs the checks until ctx ends, and returns when those that were under way have ended. It is called once.
func (c *Checker) Run(ctx context.Context) {
	r := &runner{Checker: c, targets: map[Key]*target{}, done: make(chan ended, 256), jobs: make(chan func()), counted: make(chan counted, 1),
		sockets: lane{most: c.o.Parallel}, commands: lane{most: c.o.ParallelExec}}
	var telling sync.WaitGroup
	telling.Go(func() { c.telling(ctx) })
	defer telling.Wait()
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case services := <-c.set:
			r.take(services, time.Now())
		case e := <-r.done:
			r.end(ctx, e)
		case c := <-r.counted:
			r.look(c, time.Now())
		case <-alarm.C:
		}
		r.begin(ctx, time.Now())
		r.lookSoon(time.Now())
		wait := time.Hour
		if len(r.queue) > 0 {
			wait = max(time.Until(r.queue[0].due), grain)
		}
		if len(r.groups) > 0 && !r.looking {
			wait = min(wait, max(time.Until(r.nextLook), grain))
		}
		alarm.Reset(wait)
	}
	close(r.jobs)
	go func() { r.checks.Wait(); close(r.done) }()
	for range r.done { // nobody hears of what ends now
	}
}

// take makes the targets those of services. New ones are checked soon, but not all at once.
func (r *runner) take(services []*intent.Service, now time.Time) {
	had := r.targets
	r.targets = make(map[Key]*target, len(had))
	r.groups = nil
	var fresh []*target
	for _, s := range services {
		if s.Health.Type == intent.NoCheck {
			continue
		}
		g := group{service: s}
		for _, replica := range s.Replicas {
			k := Key{s.VIP, replica.Address}
			t, is := had[k]
			switch {
			case !is:
				t = &target{Key: k, service: s, index: -1}
				fresh = append(fresh, t)
			case t.service.Health != s.Health || t.service.Mode != s.Mode:
				next := &target{Key: k, service: s, index: -1, judge: t.judge}
				next.judge.decided, next.judge.against = false, 0
				t, fresh = next, append(fresh, next)
			default:
				t.service = s
				delete(had, k)
			}
			r.targets[k] = t
			g.targets = append(g.targets, t)
			if s.Health.Type == intent.CheckPassive {
				t.beginPassive(now, r.o.Held != nil && r.o.Held(k))
			}
			if !t.judge.Since.IsZero() {
				r.tell(k, t.judge.Result)
			}
		}
		if s.Health.Passive != (intent.Passive{}) && r.o.Counts != nil {
			r.groups = append(r.groups, g)
		}
	}
	for _, t := range had {
		t.gone = true
		if t.index >= 0 {
			heap.Remove(&r.queue, t.index)
		}
	}
	fresh = slices.DeleteFunc(fresh, func(t *target) bool { return t.service.Health.Type == intent.CheckPassive })
	for _, t := range fresh {
		spread := min(t.service.Health.Interval, time.Duration(len(fresh))*grain)
		t.due = now.Add(rand.N(spread))
		heap.Push(&r.queue, t)
	}
}

func (r *runner) laneOf(t *target) *lane {
	if t.service.Health.Type == intent.CheckExec {
		return &r.commands
	}
	return &r.sockets
}

// begin begins the checks that are due, as far as they have room.
func (r *runner) begin(ctx context.Context, now time.Time) {
	for len(r.queue) > 0 && !r.queue[0].due.After(now) {
		t := heap.Pop(&r.queue).(*target)
		if l := r.laneOf(t); l.running == l.most {
			l.waiting = append(l.waiting, t)
		} else {
			r.run(ctx, l, t)
		}
	}
}

func (r *runner) run(ctx context.Context, l *lane, t *target) {
	l.running++
	of := *t // as it is now: a later Set changes the service
	r.work(func() {
		began := time.Now()
		r.lag.Observe(began.Sub(of.due).Seconds())
		err := r.one(ctx, of)
		r.took.WithLabelValues(of.service.Health.Type.String()).Observe(time.Since(began).Seconds())
		r.done <- ended{t, of.service.Health, err}
	})
}

// work has a worker do a job: one that waits, or a new one.
func (r *runner) work(job func()) {
	if r.idle > 0 {
		r.idle--
		r.jobs <- job
		return
	}
	r.checks.Go(func() {
		for job != nil {
			job()
			job = <-r.jobs
		}
	})
}

// rest keeps the worker whose job has ended, or lets one go.
func (r *runner) rest() {
	if r.idle < mostIdle {
		r.idle++
		return
	}
	r.jobs <- nil
}

// one makes one check.
func (r *runner) one(ctx context.Context, t target) error {
	ctx, cancel := context.WithTimeout(ctx, t.service.Health.Timeout)
	defer cancel()
	return r.o.probe(ctx, t)
}

// end takes the result of a check, and says when the next one is due.
func (r *runner) end(ctx context.Context, e ended) {
	t, now := e.of, time.Now()
	r.rest()
	l := r.laneOf(t)
	l.running--
	for len(l.waiting) > 0 && l.running < l.most {
		next := l.waiting[0]
		l.waiting = l.waiting[1:]
		if !next.gone {
			r.run(ctx, l, next)
		}
	}
	if t.gone || ctx.Err() != nil {
		return
	}
	if r.judge(t, now, e) {
		r.tell(t.Key, t.judge.Result)
	}
	t.due = nextDue(t.due, now, t.service.Health.Interval)
	heap.Push(&r.queue, t)
}

func (r *runner) judge(t *target, now time.Time, e ended) bool {
	cannot, is := e.found.(*cannotCheck)
	switch {
	case is && t.judge.ejected && now.Before(t.back()):
		return false
	case is:
		return t.judge.unknown(now, cannot.why)
	}
	return t.judge.take(e.check, now, e.found)
}

// nextDue is an interval after the time that a check was due, give or take a tenth, so that neither the checks of many replicas
// nor those of many balancers stay in step.
func nextDue(due, now time.Time, interval time.Duration) time.Time {
	next := due.Add(interval - interval/10 + rand.N(interval/5))
	if next.Before(now) {
		return now.Add(rand.N(interval / 10))
	}
	return next
}
