package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lbctl/testbed/helper"
	"lbctl/testbed/journal"
	"lbctl/testbed/replica"
	"lbctl/testbed/traffic"
)

// Arm is one arm of an experiment with web traffic: replicas that are started for it, and clients that send requests.
type Arm struct {
	// Name is used in names of files.
	Name string
	// Traffic is what clients request; VIP, Sources and Log are filled in.
	Traffic traffic.Config
	// Wrong are the objects that a replica serves wrongly, by the replica's number.
	Wrong map[int][]int
	// Half is called at the barrier (Traffic.Barrier): all connections are open, half of their requests
	// were answered, and the clients are silent.
	Half func(context.Context) error
	// Progress is told now and then how many requests were made.
	Progress func(done int)
}

// Record is what was seen of an arm.
type Record struct {
	// Requests is the clients' log, Access those of the replicas.
	Requests []traffic.Request
	Access   [][]replica.Access
	Sighting
	// Took is how long the clients took.
	Took time.Duration
}

// Run runs an arm. After an error nothing of it is left running. The cluster must have a NIC.
func (s *Cluster) Run(ctx context.Context, a Arm) (Record, error) {
	if s.nic == nil {
		return Record{}, errors.New("run arm: the cluster has no nic")
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	s.arms++
	r := &armRun{cluster: s, arm: a, number: s.arms}
	defer r.abandon()
	for _, step := range []func(context.Context) error{r.startReplicas, r.watched, r.readLogs} {
		err := ctx.Err()
		if err == nil {
			err = step(ctx)
		}
		if err != nil {
			return Record{}, err
		}
	}
	return r.record, nil
}

// watched runs the clients, ends the replicas, and records what the witnesses saw meanwhile.
func (r *armRun) watched(ctx context.Context) (err error) {
	r.record.Sighting, err = r.cluster.Watch(ctx, r.arm.Traffic.Connections, func(ctx context.Context) error {
		if err := r.runClients(ctx); err != nil {
			return err
		}
		return r.stopReplicas(ctx)
	})
	return err
}

// armRun is an arm that is being run.
type armRun struct {
	cluster  *Cluster
	arm      Arm
	number   int
	replicas []*helper.Process
	record   Record
}

// file returns the path of one of the arm's logs.
func (r *armRun) file(what string) string {
	return r.cluster.bed.Path(fmt.Sprintf("%02d-%s-%s.jsonl", r.number, r.arm.Name, what))
}

func (r *armRun) accessLog(i int) string { return r.file(fmt.Sprintf("replica-%d", i)) }

// startReplicas starts all replicas and waits until all accept connections.
func (r *armRun) startReplicas(ctx context.Context) error {
	for i, namespace := range r.cluster.replicas {
		p, err := Start(ctx, r.cluster, replica.Helper(), namespace, fmt.Sprintf("replica %d", i), replica.Config{
			Listen: ReplicaAddress(i), Index: i, Site: r.arm.Traffic.Site, Log: r.accessLog(i), Wrong: r.arm.Wrong[i],
		})
		if err != nil {
			return err
		}
		r.replicas = append(r.replicas, p)
	}
	for _, p := range r.replicas {
		if err := p.Await(helper.Ready); err != nil {
			return err
		}
	}
	return nil
}

// stopReplicas ends the replicas, which completes their logs.
func (r *armRun) stopReplicas(context.Context) error {
	var all []error
	for _, p := range r.replicas {
		all = append(all, p.Stop())
	}
	r.replicas = nil
	return errors.Join(all...)
}

// runClients runs the clients to their end, and calls Half at the barrier.
func (r *armRun) runClients(ctx context.Context) error {
	config := r.arm.Traffic
	config.VIP, config.Log = VIP(), r.file("clients")
	for i := range r.cluster.config.Clients {
		config.Sources = append(config.Sources, ClientAddress(i))
	}
	if config.Progress == 0 {
		config.Progress = max(config.Total()/200, 1)
	}
	began := time.Now()
	clients, err := Start(ctx, r.cluster, traffic.Helper(), r.cluster.clients, "clients", config)
	if err != nil {
		return err
	}
	for line, err := clients.Line(); err == nil; line, err = clients.Line() {
		if err := r.follow(ctx, clients, line); err != nil {
			return errors.Join(err, clients.Stop())
		}
	}
	err = clients.Wait()
	r.record.Took = time.Since(began)
	return errors.Join(ctx.Err(), err)
}

// follow acts on a line of the clients: they are at the barrier, or report progress.
func (r *armRun) follow(ctx context.Context, clients *helper.Process, line string) error {
	if line == traffic.Half {
		if r.arm.Half != nil {
			if err := r.arm.Half(ctx); err != nil {
				return err
			}
		}
		return clients.Tell([]byte("go"))
	}
	var done, total int
	if n, _ := fmt.Sscanf(line, "progress %d %d", &done, &total); n == 2 && r.arm.Progress != nil {
		r.arm.Progress(done)
	}
	return nil
}

func (r *armRun) readLogs(context.Context) (err error) {
	if r.record.Requests, err = journal.Read[traffic.Request](r.file("clients")); err != nil {
		return err
	}
	for i := range r.cluster.replicas {
		log, err := journal.Read[replica.Access](r.accessLog(i))
		if err != nil {
			return err
		}
		r.record.Access = append(r.record.Access, log)
	}
	return nil
}

// abandon ends what is still running.
func (r *armRun) abandon() {
	for _, p := range r.replicas {
		if err := p.Stop(); err != nil {
			r.cluster.bed.Log().Warn("stop replica", "error", err)
		}
	}
}
