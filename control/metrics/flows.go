package metrics

import (
	"sync"
	"time"

	"lbctl/lb"
)

// flowsCost is the share of the time that counting recorded flows may take, as one in so many: it is a pass over all of them,
// during which no change is made.
const flowsCost = 20

// flows counts recorded flows for scrapes. A count is used again for flowsCost times as long as it took: at once another is
// made where there are few flows (a million take 12 ms), and after a minute where there are 268 million.
type flows struct {
	read func() (map[lb.VIP]lb.Flows, error)
	mu   sync.Mutex
	last map[lb.VIP]lb.Flows // nil: none that is still good
}

func (f *flows) count() (map[lb.VIP]lb.Flows, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last != nil {
		return f.last, nil
	}
	began := time.Now()
	counted, err := f.read()
	if err != nil {
		return nil, err
	}
	f.last = counted
	time.AfterFunc(flowsCost*time.Since(began), f.forget)
	return counted, nil
}

// forget also gives the memory back, of which a scrape needs as much again for its counters.
func (f *flows) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = nil
}
