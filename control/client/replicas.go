package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"lbctl/control/api"
	"lbctl/lb"
)

// Replicas returns the replicas of a service and what is remembered of their flows.
func (c *Client) Replicas(ctx context.Context, service string) (api.Replicas, error) {
	return get[api.Replicas](ctx, c, http.MethodGet, replicasPath(service), nil)
}

// PutReplica adds a replica to a service, or changes its weight, state and deadline.
func (c *Client) PutReplica(ctx context.Context, service string, r api.Replica) (api.Change, error) {
	return c.putReplica(ctx, service, r, AnyRevision)
}

func (c *Client) putReplica(ctx context.Context, service string, r api.Replica, revision uint64) (api.Change, error) {
	var out api.Change
	turn := api.Turn{Weight: r.Weight, State: r.State, DrainUntil: r.DrainUntil}
	_, err := c.call(ctx, http.MethodPut, replicaPath(service, r.Address), turn, &out, match(revision)...)
	return out, err
}

// AddReplica adds a replica to a service. Errors: lb.ErrConflict when it is there already.
func (c *Client) AddReplica(ctx context.Context, service string, r api.Replica) (api.Change, error) {
	return c.onReplicas(ctx, service, r.Address, func(all api.Replicas, revision uint64) (api.Change, error) {
		if _, err := findReplica(all, service, r.Address); err == nil {
			return api.Change{}, &hinted{fmt.Errorf("add replica %s: %w: service %s has it already", r.Address, lb.ErrConflict, service),
				fmt.Sprintf("change it: lbctl replica set %s %s", service, r.Address)}
		}
		return c.putReplica(ctx, service, r, revision)
	})
}

// maxTries is how often a change is made again of what somebody else has changed meanwhile. Whenever one is refused,
// another one has succeeded: it ends, and this is for a daemon that is out of its mind.
const maxTries = 1000

// EditReplica changes a replica that is there. The edit may be called again, when somebody else
// changes the intent meanwhile. Errors: lb.ErrNotFound; the edit's.
func (c *Client) EditReplica(ctx context.Context, service, address string, edit func(*api.ReplicaStatus) error) (api.Change, error) {
	return c.onReplica(ctx, service, address, func(r api.ReplicaStatus, revision uint64) (api.Change, error) {
		if err := edit(&r); err != nil {
			return api.Change{}, err
		}
		return c.putReplica(ctx, service, r.Replica, revision)
	})
}

// RemoveReplica removes a replica that is there, if allowed returns nil, which may be called again as
// the edit of EditReplica is. Errors: lb.ErrNotFound; that of allowed.
func (c *Client) RemoveReplica(ctx context.Context, service, address string, allowed func(api.ReplicaStatus) error) (api.Change, error) {
	return c.onReplica(ctx, service, address, func(r api.ReplicaStatus, revision uint64) (api.Change, error) {
		var out api.Change
		if err := allowed(r); err != nil {
			return out, err
		}
		_, err := c.call(ctx, http.MethodDelete, replicaPath(service, address), nil, &out, match(revision)...)
		return out, err
	})
}

// onReplica is onReplicas for one that must be there.
func (c *Client) onReplica(ctx context.Context, service, address string, change func(api.ReplicaStatus, uint64) (api.Change, error)) (api.Change, error) {
	return c.onReplicas(ctx, service, address, func(all api.Replicas, revision uint64) (api.Change, error) {
		r, err := findReplica(all, service, address)
		if err != nil {
			return api.Change{}, err
		}
		return change(r, revision)
	})
}

// onReplicas reads the replicas of a service and makes a change of one at the revision read,
// until that is the present one.
func (c *Client) onReplicas(ctx context.Context, service, address string, change func(api.Replicas, uint64) (api.Change, error)) (api.Change, error) {
	for range maxTries {
		var replicas api.Replicas
		header, err := c.call(ctx, http.MethodGet, replicasPath(service), nil, &replicas)
		if err != nil {
			return api.Change{}, err
		}
		revision, err := revisionOf(header)
		if err != nil {
			return api.Change{}, err
		}
		if done, err := change(replicas, revision); !stale(err) {
			return done, err
		}
	}
	return api.Change{}, fmt.Errorf("change replica %s of service %s: %w: the intent changes all the time", address, service, lb.ErrConflict)
}

func findReplica(all api.Replicas, service, address string) (api.ReplicaStatus, error) {
	n := slices.IndexFunc(all.Replicas, func(r api.ReplicaStatus) bool { return r.Address == address })
	if n < 0 {
		return api.ReplicaStatus{}, &hinted{fmt.Errorf("replica %s of service %s: %w", address, service, lb.ErrNotFound),
			"list what there is: lbctl get replicas"}
	}
	return all.Replicas[n], nil
}

// stale tells whether a change was refused because the revision is no longer that one.
func stale(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Problem.Status == http.StatusPreconditionFailed
}

// DeleteReplica removes a replica from a service.
func (c *Client) DeleteReplica(ctx context.Context, service, address string) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodDelete, replicaPath(service, address), nil)
}

func replicasPath(service string) string { return servicePath(service) + "/replicas" }

func replicaPath(service, address string) string {
	return replicasPath(service) + "/" + url.PathEscape(address)
}
