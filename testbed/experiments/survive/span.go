package survive

import (
	"context"
	"time"

	"lbctl/testbed/bed"
)

// span is the replicas of the stage from one number to another, which is not of it.
type span struct{ from, to int }

// pool are the replicas of the services that are changed, aside those of other and sink, sunk those of sink.
func (r *run) pool() span { return span{0, r.replicas} }

func (r *run) aside() span { return span{r.replicas, r.replicas + others + sinks} }

func (r *run) sunk() span { return span{r.replicas + others, r.replicas + others + sinks} }

// taken sums what was counted on the links to some replicas.
func (r *run) taken(of span) (sum bed.Link, err error) {
	links, err := r.stage.Links()
	if err != nil {
		return sum, err
	}
	for _, l := range links[of.from:of.to] {
		sum.Taken += l.Taken
		sum.Dropped += l.Dropped
	}
	return sum, nil
}

// calm is how many looks in a row must see the same.
const calm = 20

// settle waits until nothing comes to some replicas any more, and returns what was counted.
func (r *run) settle(ctx context.Context, of span) (last bed.Link, err error) {
	same := 0
	err = r.await(ctx, 5*time.Second, func() (bool, error) {
		now, err := r.taken(of)
		same++
		if now != last {
			same = 0
		}
		last = now
		return same >= calm, err
	})
	return last, err
}
