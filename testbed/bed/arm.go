package bed

import (
	"context"
	"errors"
	"time"

	"lbctl/lb"
	"lbctl/rss/observe"
	"lbctl/testbed/capture"
	"lbctl/testbed/replica"
	"lbctl/testbed/traffic"
)

// Arm is one act: replicas that are started for it, and clients that ask.
type Arm struct {
	// Name is used in names of files.
	Name string
	// Traffic is what clients ask; VIP, Sources and Log are filled in.
	Traffic traffic.Config
	// Wrong are the objects that a replica serves wrongly, by the replica's number.
	Wrong map[int][]int
	// Half is called at the barrier (Traffic.Barrier), when all connections are open, have
	// asked half, and are silent.
	Half func(context.Context) error
	// Progress is told, now and then, how many requests were made.
	Progress func(done, total int)
}

// Record is what was seen of an arm.
type Record struct {
	// Requests is the clients' log, Access those of the replicas.
	Requests []traffic.Request
	Access   [][]replica.Access
	// Captures are those of the replicas' links.
	Captures []Capture
	// Observed is what the kernel's observer saw on the NIC; Missed are packets that it had no room for.
	Observed []observe.Flow
	Missed   uint64
	// Reasons are packets by reason, counted by the load balancer.
	Reasons map[lb.Reason]uint64
	// Seen counts the frames that came to the load balancer's interfaces: those that the NIC
	// delivered and those that were captured leaving the replicas.
	Seen uint64
	// Dropped counts frames that found a ring of the NIC full; LinkDropped those that
	// found the queue of a replica's link full, after the load balancer had sent them.
	Dropped, LinkDropped uint64
	// Took is how long the clients took.
	Took time.Duration
}

// Capture is what was captured on one link.
type Capture struct {
	Flows []capture.Flow
	// Dropped counts packets that there was no room for.
	Dropped uint64
}

// Play plays an arm. With an error nothing of it is left running. The stage must have a NIC.
func (s *Stage) Play(ctx context.Context, a Arm) (Record, error) {
	if s.nic == nil {
		return Record{}, errors.New("play: the stage has no nic")
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	s.arms++
	act := &act{stage: s, arm: a, number: s.arms}
	defer act.abandon()
	for _, step := range []func(context.Context) error{
		act.startReplicas, act.startWitnesses, act.runClients, act.stopReplicas, act.settle, act.read,
	} {
		err := ctx.Err()
		if err == nil {
			err = step(ctx)
		}
		if err != nil {
			return Record{}, err
		}
	}
	return act.record, nil
}
