package spread

import (
	"context"

	"lbctl/lb"
	"lbctl/testbed/bed"
	"lbctl/testbed/traffic"
)

// small is the traffic of a control.
func (r *run) small() traffic.Config {
	return traffic.Config{
		Connections: r.controlConnections, RequestsPerConnection: perControl,
		Site: r.site(r.env.Seed, r.controlMaxSize),
	}
}

// playTable rewrites the indirection table while all connections are open.
func (r *run) playTable(ctx context.Context) error {
	old := r.model.NIC.Config().Table
	table := rewritten(old)
	a := bed.Arm{Name: TableRewritten, Traffic: r.small()}
	a.Traffic.Barrier = true
	a.Half = func(context.Context) error { return r.stage.NIC().SetTable(table) }
	e, err := r.arm(ctx, "control: "+TableRewritten, a)
	if err != nil {
		return err
	}
	after := r.model
	after.NIC = r.model.NIC.WithTable(table)
	r.controls = append(r.controls, tableRewritten(e, r.model, after))
	return r.stage.NIC().SetTable(old)
}

// playSingle asks for every object over one connection.
func (r *run) playSingle(ctx context.Context) (err error) {
	a := bed.Arm{Name: OneConnection, Traffic: r.small()}
	a.Traffic.Connections, a.Traffic.AllObjects = 1, true
	if r.single, err = r.arm(ctx, "control: "+OneConnection, a); err != nil {
		return err
	}
	r.controls = append(r.controls, oneConnection(r.single, r.model))
	return nil
}

// playSpray lets the NIC give each packet to the next queue.
func (r *run) playSpray(ctx context.Context) error {
	r.stage.NIC().SetSpray(true)
	e, err := r.arm(ctx, "control: "+Spray, bed.Arm{Name: Spray, Traffic: r.small()})
	r.stage.NIC().SetSpray(false)
	if err != nil {
		return err
	}
	r.controls = append(r.controls, spray(e))
	return nil
}

// playWrong lets the first replica serve four objects with one byte changed: of one it might by
// chance serve none.
func (r *run) playWrong(ctx context.Context) error {
	const at = 0
	objects := []int{0, 1, 2, 3}[:min(4, r.objects)]
	a := bed.Arm{Name: WrongBytes, Traffic: r.small(), Wrong: map[int][]int{at: objects}}
	e, err := r.arm(ctx, "control: "+WrongBytes, a)
	if err != nil {
		return err
	}
	r.controls = append(r.controls, wrongBytes(e, at, objects...))
	return nil
}

// playRemoval takes the last replica away while all connections are open, of a service that does not
// remember flows: the bare table moves them. It is the last arm: the service stays as it is then.
func (r *run) playRemoval(ctx context.Context) error {
	after := remodel(r.model, r.model.Service.Scheduler, len(r.model.Service.Replicas)-1)
	after.Service.Tracking, after.Service.Idle = lb.Stateless, 0
	a := bed.Arm{Name: ReplicaRemoved, Traffic: r.small()}
	a.Traffic.Barrier = true
	a.Half = func(ctx context.Context) error { return r.configure(ctx, after.Service) }
	e, err := r.arm(ctx, "control: "+ReplicaRemoved, a)
	if err != nil {
		return err
	}
	r.controls = append(r.controls, replicaRemoved(e, r.model, after))
	return nil
}
