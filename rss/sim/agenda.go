package sim

import (
	"math"
	"time"
)

// never is the time of a timer that is not set.
const never time.Duration = math.MaxInt64

// agenda finds the first due of a fixed number of timers. Every core and every
// queue needs exactly one timer, so it is not a heap of events but
// a tournament tree: the leaves are the timers, and each inner node
// names the earlier of the two below. Setting a timer updates its path to the root, reading
// the first is O(1), and nothing is allocated. Among timers due at the same time the
// lowest number wins, so that runs are repeatable.
type agenda struct {
	times []time.Duration
	// winners[i] is the winner below node i; node 1 is the root. Leaf t is node len(times)+t.
	winners []int32
}

// newAgenda returns an agenda of n timers, at least 1, none of them set.
func newAgenda(n int) agenda {
	leaves := 1
	for leaves < n {
		leaves *= 2
	}
	a := agenda{times: make([]time.Duration, leaves), winners: make([]int32, 2*leaves)}
	for i := range leaves {
		a.times[i] = never
		a.winners[leaves+i] = int32(i)
	}
	for i := leaves - 1; i > 0; i-- {
		a.winners[i] = a.winners[2*i]
	}
	return a
}

// first returns the timer that is due first, and when; never when none is set.
func (a *agenda) first() (timer int32, at time.Duration) {
	timer = a.winners[1]
	return timer, a.times[timer]
}

// set makes a timer due at a time; never stops it.
func (a *agenda) set(timer int32, at time.Duration) {
	a.times[timer] = at
	for node := (len(a.times) + int(timer)) / 2; node > 0; node /= 2 {
		left, right := a.winners[2*node], a.winners[2*node+1]
		winner := left
		if a.times[right] < a.times[left] {
			winner = right
		}
		if a.winners[node] == winner && winner != timer {
			return // nothing above depends on this timer
		}
		a.winners[node] = winner
	}
}
