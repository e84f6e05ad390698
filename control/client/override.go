package client

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"

	"lbctl/control/api"
	"lbctl/lb"
)

// Overrides returns what was set by hand.
func (c *Client) Overrides(ctx context.Context) (api.Overrides, error) {
	return get[api.Overrides](ctx, c, http.MethodGet, "/v1/overrides", nil)
}

// TakeBack takes back what was set by hand in a service, in all of them if its name is "", or says what that would do.
func (c *Client) TakeBack(ctx context.Context, service string, dry bool) (api.Change, error) {
	path := fmt.Sprintf("/v1/overrides?dry_run=%t", dry)
	if service != "" {
		path += "&service=" + url.QueryEscape(service)
	}
	return get[api.Change](ctx, c, http.MethodDelete, path, nil)
}

// ByHand decides how a replica is to be set by hand: nil has it as declared. What was set by hand before is in its argument.
// It may be called again when somebody else changes the intent meanwhile.
type ByHand func(service string, r api.Replica, now api.ByHand) (*api.Override, error)

// SetByHand sets a replica by hand, or says what that would do. Errors: lb.ErrNotFound; those of decide.
func (c *Client) SetByHand(ctx context.Context, service, address string, dry bool, decide ByHand) (api.Change, error) {
	return c.onReplica(ctx, service, address, func(r api.ReplicaStatus, revision uint64) (out api.Change, err error) {
		o, err := decide(service, r.Replica, r.ByHand)
		if err != nil {
			return out, err
		}
		path, method, body := fmt.Sprintf("%s/override?dry_run=%t", replicaPath(service, address), dry), http.MethodPut, any(o)
		if o == nil {
			if r.Override == nil {
				return api.Change{Revision: revision, Steps: []api.Step{}}, nil
			}
			method, body = http.MethodDelete, nil
		}
		_, err = c.call(ctx, method, path, body, &out, at(revision)...)
		return out, err
	})
}

// SetHostByHand sets all replicas at an address by hand, whatever their service, in one change, or says what that would do.
// Errors: lb.ErrNotFound if there is none; those of decide.
func (c *Client) SetHostByHand(ctx context.Context, host netip.Addr, dry bool, decide ByHand) (api.Change, error) {
	return untilFresh(fmt.Sprintf("the replicas at %v", host), func() (out api.Change, err error) {
		var all api.Traffic
		header, err := c.call(ctx, http.MethodGet, "/v1/replicas", nil, &all)
		if err != nil {
			return out, err
		}
		revision, err := revisionOf(header)
		if err != nil {
			return out, err
		}
		next, err := overridesOf(all, host, decide)
		if err != nil {
			return out, err
		}
		_, err = c.call(ctx, http.MethodPut, "/v1/overrides"+dryQuery(dry), next, &out, at(revision)...)
		return out, err
	})
}

// overridesOf returns all overrides, with those of one host as they are decided.
func overridesOf(all api.Traffic, host netip.Addr, decide ByHand) (api.Overrides, error) {
	next, found := api.Overrides{Overrides: []api.ReplicaOverride{}}, false
	for _, r := range all.Replicas {
		o := r.Override
		if a, err := netip.ParseAddrPort(r.Address); err == nil && a.Addr() == host {
			found = true
			if o, err = decide(r.ServiceName, r.Replica, r.ByHand); err != nil {
				return next, err
			}
		}
		if o != nil {
			next.Overrides = append(next.Overrides, api.ReplicaOverride{ServiceName: r.ServiceName, Replica: r.Address, Override: *o})
		}
	}
	if !found {
		return next, &hinted{fmt.Errorf("replicas at %v: %w", host, lb.ErrNotFound), "list what there is: lbctl get replicas"}
	}
	return next, nil
}
