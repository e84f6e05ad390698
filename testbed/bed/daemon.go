package bed

import (
	"context"

	"lbctl/control/api"
	"lbctl/testbed/product"
)

// serve starts the load balancer, which has no service yet.
func (s *Stage) serve(ctx context.Context) error {
	home, err := s.run.Home("balancer")
	if err != nil {
		return err
	}
	if s.product, err = product.Start(ctx, home, s.balancer, s.configuration()); err != nil {
		return err
	}
	s.closing(s.product)
	return nil
}

// configuration is what the daemon starts from.
func (s *Stage) configuration() api.Config {
	config := api.Config{Services: []api.Service{}}
	if s.config.ToeplitzKey != "" || s.config.Flows != 0 {
		config.Datapath = &api.Datapath{}
	}
	if s.config.ToeplitzKey != "" {
		config.Datapath.ToeplitzKey = &s.config.ToeplitzKey
	}
	if flows := int64(s.config.Flows); flows != 0 {
		config.Datapath.Limits = &api.Limits{Flows: &flows}
	}
	return config
}

// Apply gives the load balancer its services, attached natively to all interfaces.
func (s *Stage) Apply(ctx context.Context, services ...api.Service) error {
	return s.product.Apply(ctx, "native", s.Interfaces(), services...)
}
