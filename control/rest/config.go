package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/control/wire"
)

type configInput struct{ Body api.Config }

type putConfigInput struct {
	Conditional
	Body api.Config
}

func (s *Server) configRoutes(a huma.API) {
	register(a, "get-config", http.MethodGet, "/v1/config", "The whole intent",
		func(context.Context, *struct{}) (*answer[api.Config], error) {
			now := s.keeper.now.Load()
			return answerAt(now.Number, wire.Config(now.Intent)), nil
		})
	register(a, "put-config", http.MethodPut, "/v1/config", "Replace the whole intent",
		func(ctx context.Context, in *putConfigInput) (*answer[api.Change], error) {
			return s.change(ctx, in.Conditional, replace(in.Body))
		})
	register(a, "plan-config", http.MethodPost, "/v1/plan", "What replacing the whole intent would do",
		func(_ context.Context, in *configInput) (*answer[api.Change], error) {
			revision := s.keeper.now.Load().Number
			p, err := s.keeper.plan(replace(in.Body))
			return answerAt(revision, p.wire(revision)), err
		})
}

func replace(doc api.Config) edit {
	return func(old intent.Intent) (intent.Intent, error) { return wire.Resolve(doc, old) }
}

// change makes a change and answers with what was done.
func (s *Server) change(ctx context.Context, in Conditional, e edit) (*answer[api.Change], error) {
	now, done, err := s.keeper.change(ctx, matcher(in.IfMatch), e)
	if err != nil {
		return nil, err
	}
	return answerAt(now.Number, done.wire(now.Number)), nil
}
