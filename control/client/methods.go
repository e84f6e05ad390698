package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"lbctl/control/api"
	"lbctl/lb"
)

// at returns the header of a change that is made only at a revision.
func at(revision uint64) []string { return []string{"If-Match", fmt.Sprintf(`"%d"`, revision)} }

// Config returns the whole intent and its revision.
func (c *Client) Config(ctx context.Context) (api.Config, uint64, error) {
	var out api.Config
	header, err := c.call(ctx, http.MethodGet, "/v1/config", nil, &out)
	if err != nil {
		return out, 0, err
	}
	revision, err := revisionOf(header)
	return out, revision, err
}

// revisionOf returns the revision that an answer belongs to.
func revisionOf(header http.Header) (uint64, error) {
	revision, err := strconv.ParseUint(strings.Trim(header.Get("ETag"), `"`), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read revision: %w", err)
	}
	return revision, nil
}

// Apply replaces the whole configuration. What was set by hand is kept, but for the services that are named; "*" is all.
func (c *Client) Apply(ctx context.Context, in api.Config, takeBack ...string) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodPut, "/v1/config"+backQuery("?", takeBack), in)
}

// backQuery names the services of which what was set by hand is taken back.
func backQuery(sign string, services []string) string { return listQuery(sign, "take_back", services) }

// listQuery is a parameter that is a list, "" for none.
func listQuery(sign, name string, words []string) string {
	if len(words) == 0 {
		return ""
	}
	return sign + name + "=" + url.QueryEscape(strings.Join(words, ","))
}

// ApplyAt is Apply if the intent is at a revision, else it refuses: lb.ErrConflict.
func (c *Client) ApplyAt(ctx context.Context, in api.Config, revision uint64, takeBack ...string) (api.Change, error) {
	var out api.Change
	_, err := c.call(ctx, http.MethodPut, "/v1/config"+backQuery("?", takeBack), in, &out, at(revision)...)
	return out, err
}

// PlanAt returns what ApplyAt would do, and refuses what it would.
func (c *Client) PlanAt(ctx context.Context, in api.Config, revision uint64, takeBack ...string) (api.Change, error) {
	var out api.Change
	_, err := c.call(ctx, http.MethodPost, "/v1/plan"+backQuery("?", takeBack), in, &out, at(revision)...)
	return out, err
}

// Plan returns what Apply would do.
func (c *Client) Plan(ctx context.Context, in api.Config, takeBack ...string) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodPost, "/v1/plan"+backQuery("?", takeBack), in)
}

// Revisions lists the revisions of the intent that are kept, the latest first, at most limit of them; 0 stands for all.
func (c *Client) Revisions(ctx context.Context, limit int) (api.Revisions, error) {
	return get[api.Revisions](ctx, c, http.MethodGet, fmt.Sprintf("/v1/revisions?limit=%d", limit), nil)
}

// Revision returns the intent as it was at a revision. Errors: lb.ErrNotFound when it is not kept.
func (c *Client) Revision(ctx context.Context, number uint64) (api.Revision, error) {
	return get[api.Revision](ctx, c, http.MethodGet, fmt.Sprintf("/v1/revisions/%d", number), nil)
}

// Rollback makes the services and interfaces of a revision the intent again, or says what that would do. What was set by
// hand is kept as Apply keeps it.
func (c *Client) Rollback(ctx context.Context, number uint64, dry bool, takeBack ...string) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodPost, fmt.Sprintf("/v1/revisions/%d/rollback?dry_run=%t", number, dry)+backQuery("&", takeBack), nil)
}

// Services returns all services, or those that are named. Errors: lb.ErrNotFound when there is none of a name.
func (c *Client) Services(ctx context.Context, named ...string) (api.Services, error) {
	return get[api.Services](ctx, c, http.MethodGet, "/v1/services"+listQuery("?", "service", named), nil)
}

// Status returns whether the node and its services are as they are wanted.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	return get[api.Status](ctx, c, http.MethodGet, "/v1/status", nil)
}

// NodeConditions returns whether the node is as it is wanted, and the revision of the intent.
func (c *Client) NodeConditions(ctx context.Context) ([]api.Condition, uint64, error) {
	var out api.Status
	header, err := c.call(ctx, http.MethodGet, "/v1/status?limit=1", nil, &out)
	if err != nil {
		return nil, 0, err
	}
	revision, err := revisionOf(header)
	return out.Conditions, revision, err
}

// ServiceConditions returns whether a service is as it is wanted.
func (c *Client) ServiceConditions(ctx context.Context, name string) (api.ServiceConditions, error) {
	return get[api.ServiceConditions](ctx, c, http.MethodGet, servicePath(name)+"/status", nil)
}

// Service returns one service and what is recorded of its flows.
func (c *Client) Service(ctx context.Context, name string) (api.ServiceStatus, error) {
	return get[api.ServiceStatus](ctx, c, http.MethodGet, servicePath(name), nil)
}

// Interfaces returns the interfaces that are wanted or attached.
func (c *Client) Interfaces(ctx context.Context) (api.Interfaces, error) {
	return get[api.Interfaces](ctx, c, http.MethodGet, "/v1/interfaces", nil)
}

// Attach attaches an interface, or says what that would do.
func (c *Client) Attach(ctx context.Context, name, mode string, dry bool) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodPut, interfacePath(name)+dryQuery(dry), api.Mode{Mode: mode})
}

// Detach detaches an interface, or says what that would do.
func (c *Client) Detach(ctx context.Context, name string, dry bool) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodDelete, interfacePath(name)+dryQuery(dry), nil)
}

func interfacePath(name string) string { return "/v1/interfaces/" + url.PathEscape(name) }

// Counters returns the datapath's counters: all, or those by reason, service or replica, as it is asked.
func (c *Client) Counters(ctx context.Context, by ...string) (api.Counters, error) {
	return get[api.Counters](ctx, c, http.MethodGet, "/v1/counters"+listQuery("?", "by", by), nil)
}

// Flows returns what is recorded of flows of all services, or of those that are named. Errors: as Services.
func (c *Client) Flows(ctx context.Context, named ...string) (api.Flows, error) {
	return get[api.Flows](ctx, c, http.MethodGet, "/v1/flows"+listQuery("?", "service", named), nil)
}

// Traffic returns the replicas of all services, or of those that are named, and what is sent to them. Errors: as Services.
func (c *Client) Traffic(ctx context.Context, named ...string) (api.Traffic, error) {
	all, err := listed[api.ReplicaTraffic](ctx, c, "/v1/replicas"+listQuery("?", "service", named), "replicas")
	return api.Traffic{Replicas: all}, err
}

// TrafficWithHops is Traffic, and how packets to each replica leave.
func (c *Client) TrafficWithHops(ctx context.Context, named ...string) (api.Traffic, error) {
	all, err := listed[api.ReplicaTraffic](ctx, c, "/v1/replicas?next_hops=true"+listQuery("&", "service", named), "replicas")
	return api.Traffic{Replicas: all}, err
}

// RecordedFlows returns at most limit recorded flows to a port of a service, 0 for its only one, of a client's address, or of the
// few of a prefix: those after one, the first ones if that is "".
func (c *Client) RecordedFlows(ctx context.Context, service string, port uint16, client, after string, limit int) (api.RecordedFlows, error) {
	q := url.Values{"client": {client}, "limit": {strconv.Itoa(limit)}}
	if port != 0 {
		q.Set("port", strconv.Itoa(int(port)))
	}
	if after != "" {
		q.Set("after", after)
	}
	return get[api.RecordedFlows](ctx, c, http.MethodGet, servicePath(service)+"/flows?"+q.Encode(), nil)
}

// Explain returns what would happen to a packet, and why.
func (c *Client) Explain(ctx context.Context, p api.Probe) (api.Explanation, error) {
	return get[api.Explanation](ctx, c, http.MethodPost, "/v1/explain", p)
}

// ExplainBatch explains packets, in their order.
func (c *Client) ExplainBatch(ctx context.Context, p api.Probes) (api.Explanations, error) {
	return get[api.Explanations](ctx, c, http.MethodPost, "/v1/explain/batch", p)
}

// Verify compares what is in the kernel with what should be there, and may repair it.
func (c *Client) Verify(ctx context.Context, repair bool) (api.Verification, error) {
	if repair {
		return get[api.Verification](ctx, c, http.MethodPost, "/v1/verify/repair", nil)
	}
	return get[api.Verification](ctx, c, http.MethodGet, "/v1/verify", nil)
}

// Ready returns nil when the datapath forwards as intended.
func (c *Client) Ready(ctx context.Context) (api.Health, error) {
	return get[api.Health](ctx, c, http.MethodGet, "/readyz", nil)
}

// get calls and returns the answer.
func get[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	var out T
	_, err := c.call(ctx, method, path, in, &out)
	return out, err
}

func servicePath(name string) string { return "/v1/services/" + url.PathEscape(name) }

// Replicas returns the replicas of a service and what is recorded of their flows.
func (c *Client) Replicas(ctx context.Context, service string) (api.Replicas, error) {
	return get[api.Replicas](ctx, c, http.MethodGet, replicasPath(service), nil)
}

// PutReplica adds a replica to a service, or changes its weight, state and deadline.
func (c *Client) PutReplica(ctx context.Context, service string, r api.Replica) (api.Change, error) {
	return c.putReplica(ctx, service, r)
}

func (c *Client) putReplica(ctx context.Context, service string, r api.Replica, headers ...string) (api.Change, error) {
	var out api.Change
	spec := api.ReplicaSpec{Weight: r.Weight, State: r.State, DrainUntil: r.DrainUntil}
	_, err := c.call(ctx, http.MethodPut, replicaPath(service, r.Address), spec, &out, headers...)
	return out, err
}

// AddReplica adds a replica to a service. Errors: lb.ErrConflict when it is there already.
func (c *Client) AddReplica(ctx context.Context, service string, r api.Replica) (api.Change, error) {
	return untilFresh(fmt.Sprintf("replica %s of service %s", r.Address, service), func() (api.Change, error) {
		var is api.ServiceStatus // and not its replicas: to count their flows is a pass over all records
		header, err := c.call(ctx, http.MethodGet, servicePath(service), nil, &is)
		if err != nil {
			return api.Change{}, err
		}
		if slices.ContainsFunc(is.Replicas, func(has api.Replica) bool { return has.Address == r.Address }) {
			return api.Change{}, &hinted{fmt.Errorf("add replica %s: %w: service %s has it already", r.Address, lb.ErrConflict, service),
				fmt.Sprintf("change it: lbctl replica set %s %s", service, r.Address)}
		}
		revision, err := revisionOf(header)
		if err != nil {
			return api.Change{}, err
		}
		return c.putReplica(ctx, service, r, at(revision)...)
	})
}

// RemoveReplica removes a replica that is there, if allowed returns nil for it. Allowed may be called again when
// somebody else changes the intent meanwhile. Errors: lb.ErrNotFound; that of allowed.
func (c *Client) RemoveReplica(ctx context.Context, service, address string, allowed func(api.ReplicaStatus) error) (api.Change, error) {
	return c.onReplica(ctx, service, address, func(r api.ReplicaStatus, revision uint64) (api.Change, error) {
		var out api.Change
		if err := allowed(r); err != nil {
			return out, err
		}
		_, err := c.call(ctx, http.MethodDelete, replicaPath(service, address), nil, &out, at(revision)...)
		return out, err
	})
}

// onReplica reads a replica of a service, which must be there, and changes it at the revision that it read. It starts again when that
// is not the present revision any more.
func (c *Client) onReplica(ctx context.Context, service, address string, change func(api.ReplicaStatus, uint64) (api.Change, error)) (api.Change, error) {
	return untilFresh(fmt.Sprintf("replica %s of service %s", address, service), func() (api.Change, error) {
		var replicas api.Replicas
		header, err := c.call(ctx, http.MethodGet, replicasPath(service), nil, &replicas)
		if err != nil {
			return api.Change{}, err
		}
		r, err := findReplica(replicas, service, address)
		if err != nil {
			return api.Change{}, err
		}
		revision, err := revisionOf(header)
		if err != nil {
			return api.Change{}, err
		}
		return change(r, revision)
	})
}

func findReplica(all api.Replicas, service, address string) (api.ReplicaStatus, error) {
	n := slices.IndexFunc(all.Replicas, func(r api.ReplicaStatus) bool { return r.Address == address })
	if n < 0 {
		return api.ReplicaStatus{}, &hinted{fmt.Errorf("replica %s of service %s: %w", address, service, lb.ErrNotFound),
			"list what there is: lbctl get replicas"}
	}
	return all.Replicas[n], nil
}

// DeleteReplica removes a replica from a service.
func (c *Client) DeleteReplica(ctx context.Context, service, address string) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodDelete, replicaPath(service, address), nil)
}

func replicasPath(service string) string { return servicePath(service) + "/replicas" }

func replicaPath(service, address string) string {
	return replicasPath(service) + "/" + url.PathEscape(address)
}
