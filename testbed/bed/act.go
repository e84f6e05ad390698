package bed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"lbctl/testbed/journal"
	"lbctl/testbed/process"
	"lbctl/testbed/replica"
	"lbctl/testbed/traffic"
)

// act is an arm that is being played.
type act struct {
	stage    *Stage
	arm      Arm
	number   int
	replicas []*process.Process
	watch    witnesses
	record   Record
}

// file returns the path of one of the act's logs.
func (a *act) file(what string) string {
	return a.stage.run.Path(fmt.Sprintf("%02d-%s-%s.jsonl", a.number, a.arm.Name, what))
}

func (a *act) accessLog(i int) string { return a.file(fmt.Sprintf("replica-%d", i)) }

// startReplicas starts all replicas and waits until all accept connections.
func (a *act) startReplicas(ctx context.Context) error {
	for i, namespace := range a.stage.replicas {
		config, err := json.Marshal(replica.Config{
			Listen: ReplicaAddress(i), Index: i, Site: a.arm.Traffic.Site, Log: a.accessLog(i), Wrong: a.arm.Wrong[i],
		})
		if err != nil {
			return fmt.Errorf("encode configuration of replica %d: %w", i, err)
		}
		c, err := a.stage.start(ctx, fmt.Sprintf("replica %d", i), namespace, "testbed", "replica", string(config))
		if err != nil {
			return err
		}
		a.replicas = append(a.replicas, c)
	}
	for _, c := range a.replicas {
		if err := c.Await(replica.Ready); err != nil {
			return err
		}
	}
	return nil
}

// stopReplicas ends the replicas, which completes their logs.
func (a *act) stopReplicas(context.Context) error {
	var all []error
	for _, c := range a.replicas {
		all = append(all, c.Stop())
	}
	a.replicas = nil
	return errors.Join(all...)
}

// runClients lets clients ask, and calls Half when they are half way.
func (a *act) runClients(ctx context.Context) error {
	config := a.arm.Traffic
	config.VIP, config.Log = VIP(), a.file("clients")
	for i := range a.stage.config.Clients {
		config.Sources = append(config.Sources, clientAddress(i))
	}
	if config.Progress == 0 {
		config.Progress = max(config.Total()/200, 1)
	}
	text, err := json.Marshal(config)
	if err != nil {
		return fmt.Errorf("encode configuration of the clients: %w", err)
	}
	start := time.Now()
	clients, err := a.stage.start(ctx, "clients", a.stage.clients, "testbed", "client", string(text))
	if err != nil {
		return err
	}
	for line, err := clients.Line(); err == nil; line, err = clients.Line() {
		if err := a.heard(ctx, clients, line); err != nil {
			return errors.Join(err, clients.Stop())
		}
	}
	err = clients.Wait()
	a.record.Took = time.Since(start)
	return errors.Join(ctx.Err(), err)
}

// heard acts on a line that the clients said.
func (a *act) heard(ctx context.Context, clients *process.Process, line string) error {
	if line == traffic.Half {
		if a.arm.Half != nil {
			if err := a.arm.Half(ctx); err != nil {
				return err
			}
		}
		return clients.Tell([]byte("go"))
	}
	var done, total int
	if n, _ := fmt.Sscanf(line, "progress %d %d", &done, &total); n == 2 && a.arm.Progress != nil {
		a.arm.Progress(done, total)
	}
	return nil
}

// read reads the logs.
func (a *act) read(context.Context) (err error) {
	if a.record.Requests, err = journal.Read[traffic.Request](a.file("clients")); err != nil {
		return err
	}
	for i := range a.stage.replicas {
		log, err := journal.Read[replica.Access](a.accessLog(i))
		if err != nil {
			return err
		}
		a.record.Access = append(a.record.Access, log)
	}
	return nil
}

// abandon ends what is still running.
func (a *act) abandon() {
	for _, c := range a.replicas {
		if err := c.Stop(); err != nil {
			a.stage.config.Log.Warn("stop replica", "error", err)
		}
	}
	if err := a.watch.close(); err != nil {
		a.stage.config.Log.Warn("end witnesses", "error", err)
	}
}
