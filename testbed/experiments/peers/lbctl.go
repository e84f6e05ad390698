package peers

import (
	"context"

	"lbctl/control/api"
)

// startProduct starts the load balancer of this program.
func startProduct(ctx context.Context, b *bench, p *path) error {
	product, err := b.bed.Serve(ctx, p.balancer, p.name)
	if err != nil {
		return err
	}
	p.pid = product.PID()
	return product.Apply(ctx, p.mode.String(), p.interfaces(), b.services(p)...)
}

// services is one for each work.
func (b *bench) services(p *path) []api.Service {
	var list []api.Service
	for _, w := range b.works {
		s := api.Service{Name: w.Name, VIP: at(p.vip(), w).String(), Protocol: w.Protocol.String()}
		for i := range b.replicas {
			s.Replicas = append(s.Replicas, api.Replica{Address: at(p.replica(i), w).String()})
		}
		list = append(list, s)
	}
	return list
}

// route has nothing to do: every namespace forwards.
func route(context.Context, *bench, *path) error { return nil }
