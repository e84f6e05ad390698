package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/wire"
)

// PoolPath is the part of a path that names a pool.
type PoolPath struct {
	Name string `path:"name" doc:"The pool's name." example:"backends"`
}

func (p PoolPath) exists(i intent.Intent) bool {
	_, err := i.Pool(p.Name)
	return err == nil
}

type deletePoolInput struct {
	Conditional
	DryRun
	PoolPath
}

type putPoolInput struct {
	Conditional
	DryRun
	PoolPath
	Document[api.PoolStatus]
}

type poolsInput struct {
	Cached
	Page
}

func (s *Server) poolRoutes(a huma.API) {
	const all, one = "/v1/pools", "/v1/pools/{name}"
	register(a, "list-pools", http.MethodGet, all, "All pools, as they are declared, and who uses them",
		func(_ context.Context, in *poolsInput) (*cachedAnswer[api.Pools], error) {
			now := s.engine.Now()
			return cachedAt(&in.Cached, now.Number, func() api.Pools {
				part, next := pageOf(in.Page, now.Intent.Pools, func(p intent.Pool) string { return p.Name })
				out, users := api.Pools{Pools: make([]api.PoolStatus, 0, len(part)), Next: next}, now.Intent.UsersOf()
				for _, p := range part {
					out.Pools = append(out.Pools, wire.PoolStatus(p, users[p.Name]))
				}
				return out
			})
		})
	register(a, "get-pool", http.MethodGet, one, "One pool as it is declared, and who uses it",
		func(_ context.Context, in *PoolPath) (*answer[api.PoolStatus], error) {
			now := s.engine.Now()
			p, err := now.Intent.Pool(in.Name)
			return answerAt(now.Number, wire.PoolStatus(p, now.Intent.UsersOf()[p.Name])), err
		})
	register(a, "put-pool", http.MethodPut, one, "Add or replace a pool, and so the replicas of all services that use it, in one change",
		func(ctx context.Context, in *putPoolInput) (*answer[api.Change], error) {
			at := 0
			done, err := s.changeOrPlan(ctx, in.DryRun, in.allows(in.exists), engine.Change{Reason: "put pool " + in.Name, Edit: func(i intent.Intent) (intent.Intent, error) {
				p, err := in.pool()
				if err != nil {
					return i, err
				}
				i, at = i.WithPool(p)
				return i, nil
			}})
			return done, intent.InPool(err, at)
		})
	register(a, "delete-pool", http.MethodDelete, one, "Remove a pool that no service uses",
		func(ctx context.Context, in *deletePoolInput) (*answer[api.Change], error) {
			return s.changeOrPlan(ctx, in.DryRun, in.allows(in.exists), engine.Change{Reason: "delete pool " + in.Name, Edit: func(i intent.Intent) (intent.Intent, error) {
				return i.WithoutPool(in.Name)
			}})
		})
}

// pool returns the pool of the body. Errors: *intent.Error.
func (in *putPoolInput) pool() (intent.Pool, error) {
	if doc := in.value.Pool; doc.Name == in.Name {
		return wire.ResolvePool(doc)
	}
	var ps intent.Problems
	ps.Add("name", "want the name in the path, "+in.Name, "%q", in.value.Name)
	return intent.Pool{}, ps.Err()
}
