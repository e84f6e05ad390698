package rest

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/store"
	"lbctl/control/wire"
)

type revisionsInput struct {
	Limit int `query:"limit" minimum:"0" doc:"At most so many; 0: all."`
}

// RevisionPath is the part of a path that names a revision.
type RevisionPath struct {
	Revision uint64 `path:"revision" minimum:"1" doc:"Its number." example:"7"`
}

type rollbackInput struct {
	Conditional
	RevisionPath
	DryRun
	TakeBack
}

func (s *Server) revisionRoutes(a huma.API) {
	register(a, "list-revisions", http.MethodGet, "/v1/revisions", "The revisions of the intent that are kept, the latest first",
		func(ctx context.Context, in *revisionsInput) (*answer[api.Revisions], error) {
			now := s.engine.Now()
			entries, err := s.engine.History(ctx, in.Limit)
			all := api.Revisions{Revisions: make([]api.RevisionEntry, 0, len(entries))}
			for _, e := range entries {
				all.Revisions = append(all.Revisions, wireEntry(e))
			}
			return answerAt(now.Number, all), err
		})
	register(a, "get-revision", http.MethodGet, "/v1/revisions/{revision}", "The intent as it was at a revision",
		func(ctx context.Context, in *RevisionPath) (*answer[api.Revision], error) {
			r, err := s.engine.Revision(ctx, in.Revision)
			if err != nil {
				return nil, err
			}
			then := api.Revision{RevisionEntry: wireEntry(r.Entry), Config: wire.Config(r.Intent)}
			if before, err := s.engine.Revision(ctx, r.Number-1); err == nil { // of the first that is kept nothing is known
				then.Changes, then.Omitted = wire.Differences(before.Intent, r.Intent, maxDifferences)
			}
			return answerAt(r.Number, then), nil
		})
	register(a, "roll-back", http.MethodPost, "/v1/revisions/{revision}/rollback", "Make the services, pools and interfaces of a revision the intent again",
		func(ctx context.Context, in *rollbackInput) (*answer[api.Change], error) {
			r, err := s.engine.Revision(ctx, in.Revision)
			if err != nil {
				return nil, err
			}
			change := engine.Change{Reason: fmt.Sprintf("roll back to revision %d", r.Number), Edit: in.from(backTo(r.Intent))}
			return s.replace(ctx, in.DryRun.DryRun, in.allows(always), change)
		})
}

// maxDifferences is how many differences to the revision before are told.
const maxDifferences = 1000

// backTo makes an earlier configuration that of the present intent. What the datapath was made with stays: a running daemon
// cannot change it. So does what was set by hand: that is of now.
func backTo(earlier intent.Intent) edit {
	return func(now intent.Intent) (intent.Intent, error) {
		earlier.Datapath = now.Datapath
		return earlier.Keeping(now.Overrides), nil
	}
}

func wireEntry(e store.Entry) api.RevisionEntry {
	return api.RevisionEntry{Number: e.Number, Time: e.Time, Actor: e.Actor, Origin: e.Origin, Reason: e.Reason}
}
