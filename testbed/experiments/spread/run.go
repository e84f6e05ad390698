package spread

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"lbctl/control/api"
	"lbctl/lb"
	"lbctl/rss/nic"
	"lbctl/testbed/bed"
	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
	"lbctl/testbed/traffic"
)

// perControl is the number of requests on each connection of a control.
const perControl = 4

// run is a trial on a set stage.
type run struct {
	*trial
	env    experiment.Env
	stage  *bed.Stage
	model  Model
	random *rand.Rand

	done     int
	main     Evidence
	single   Evidence
	controls []report.Check
	arms     [][]any
	followed *api.Explanation
	xdp      string
}

// total is the number of requests of all arms.
func (r *run) total() int {
	return r.requests + r.objects + 4*r.controlConnections*perControl
}

// play plays the main arm and the controls.
func (r *run) play(ctx context.Context) error {
	if err := r.configure(ctx, r.model.Service); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{
		r.playMain, r.guessKeyAndHash, r.playTable, r.playSingle, r.playSpray, r.playWrong, r.playRemoval,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// configure gives the load balancer a service, and notes how it is attached.
func (r *run) configure(ctx context.Context, s lb.Service) error {
	if err := r.stage.Apply(ctx, wire(s)); err != nil {
		return err
	}
	attached, err := r.stage.Control().Interfaces(ctx)
	if err != nil {
		return fmt.Errorf("ask how the load balancer is attached: %w", err)
	}
	for i, a := range attached.Interfaces {
		if i > 0 && a.Mode != r.xdp {
			r.xdp = "mixed"
			break
		}
		r.xdp = a.Mode
	}
	return nil
}

// wire says a service as the API does.
func wire(s lb.Service) api.Service {
	out := api.Service{
		Name: "web", VIP: s.VIP.Address.String(), Protocol: s.VIP.Protocol.String(),
		Scheduler: s.Scheduler.String(), Hash: s.Hash.String(), Seed: int64(s.Seed), Tracking: s.Tracking.String(),
	}
	if s.Scheduler == lb.Maglev {
		size := int64(s.TableSize)
		out.TableSize = &size
	}
	for _, replica := range s.Replicas {
		out.Replicas = append(out.Replicas, api.Replica{Address: replica.Address.String()})
	}
	return out
}

// arm plays one arm and returns its evidence.
func (r *run) arm(ctx context.Context, what string, a bed.Arm) (Evidence, error) {
	r.env.Progress.Step(what)
	a.Traffic.Concurrency = r.concurrency
	a.Traffic.Seed = r.random.Uint64()
	a.Traffic.Popularity = r.popularity
	a.Progress = func(done, _ int) { r.env.Progress.At(r.done + done) }
	record, err := r.stage.Play(ctx, a)
	if err != nil {
		return Evidence{}, fmt.Errorf("%s: %w", what, err)
	}
	wanted := a.Traffic.Total()
	r.done += wanted
	r.env.Progress.At(r.done)
	seconds := record.Took.Seconds()
	r.arms = append(r.arms, []any{a.Name, a.Traffic.Connections, wanted, record.Seen, record.Dropped, record.LinkDropped,
		math.Round(seconds*100) / 100, math.Round(float64(wanted) / seconds)})
	return evidence(record, r.model, r.objects, wanted), nil
}

// evidence is a record as the analysis wants it.
func evidence(record bed.Record, m Model, objects, wanted int) Evidence {
	e := Evidence{
		VIP: m.Service.VIP.Address, Replicas: m.addresses(), Objects: objects, Wanted: wanted,
		Requests: record.Requests, Access: record.Access, Observed: record.Observed, Missed: record.Missed,
		Reasons: record.Reasons, Seen: record.Seen, LinkDropped: record.LinkDropped,
	}
	for _, c := range record.Captures {
		e.Captures = append(e.Captures, Capture(c))
	}
	return e
}

// playMain is the experiment itself.
func (r *run) playMain(ctx context.Context) (err error) {
	r.main, err = r.arm(ctx, "clients ask", bed.Arm{Name: "main", Traffic: traffic.Config{
		Connections: r.connections, RequestsPerConnection: r.requests / r.connections,
		Site: r.site(r.env.Seed, r.maxSize),
	}})
	if err != nil {
		return err
	}
	return r.follow(ctx)
}

// follow asks the daemon to explain the connection that the report follows.
func (r *run) follow(ctx context.Context) error {
	c := newTally(r.main).followed()
	if c == nil {
		return nil
	}
	explanation, err := r.stage.Control().Explain(ctx, api.Probe{
		Source: c.flow.Source.String(), Destination: c.flow.Destination.String(), Protocol: c.flow.Protocol.String(),
	})
	if err != nil {
		return fmt.Errorf("explain %v: %w", c.flow, err)
	}
	r.followed = &explanation
	return nil
}

// guessKeyAndHash holds the main arm's evidence against wrong models: no traffic is needed.
func (r *run) guessKeyAndHash(context.Context) error {
	config := r.model.NIC.Config()
	config.Key = otherKey(config.Key, r.random.Uint64)
	n, err := nic.New(config)
	if err != nil {
		return err
	}
	service := r.model.Service.Clone()
	service.Seed ^= uint32(1 + r.random.IntN(1<<31))
	r.controls = append(r.controls,
		anotherKey(r.main, NewModel(n, r.model.Service, r.model.Key)),
		anotherHash(r.main, NewModel(r.model.NIC, service, otherKey(r.model.Key, r.random.Uint64))))
	return nil
}
