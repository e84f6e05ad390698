package datapath

import (
	"sync"

	"lbctl/lb"
)

// events are what happened in the network, for one reader.
type events struct {
	mu   sync.Mutex
	to   chan lb.Event
	lost bool
}

// Events implements lb.Dataplane.
func (d *Datapath) Events() <-chan lb.Event { return d.events.to }

// tell passes an event on and never waits: an event that finds no room is lost, and the reader is told so before
// the next one.
func (e *events) tell(what lb.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := []lb.Event{what}
	if e.lost {
		all = []lb.Event{{Kind: lb.EventsLost}, what}
	}
	e.lost = len(e.to)+len(all) > cap(e.to)
	if e.lost {
		return
	}
	for _, one := range all {
		e.to <- one
	}
}
