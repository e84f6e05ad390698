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

// PutService adds or replaces the service of its name.
func (c *Client) PutService(ctx context.Context, s api.Service) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodPut, servicePath(s.Name), s)
}

// EditService adds a service or changes one, or says what that would do. The edit is told how the service is declared, nil if
// there is none, and may be called again when somebody else changes the intent meanwhile: no change is lost. Errors: the edit's.
func (c *Client) EditService(ctx context.Context, name string, dry bool, edit func(was *api.Service) (api.Service, error)) (api.Change, error) {
	return untilFresh("service "+name, func() (out api.Change, err error) {
		was, condition, err := c.declared(ctx, name)
		if err != nil {
			return out, err
		}
		next, err := edit(was)
		if err != nil {
			return out, err
		}
		_, err = c.call(ctx, http.MethodPut, servicePath(name)+dryQuery(dry), next, &out, condition...)
		return out, err
	})
}

// declared returns a service, nil if there is none, and the condition under which that is still so.
func (c *Client) declared(ctx context.Context, name string) (*api.Service, []string, error) {
	var s api.ServiceStatus
	header, err := c.call(ctx, http.MethodGet, servicePath(name), nil, &s)
	if errors.Is(err, lb.ErrNotFound) {
		return nil, []string{"If-None-Match", "*"}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	revision, err := revisionOf(header)
	return &s.Service, at(revision), err
}

// DeleteService removes a service, or says what that would do.
func (c *Client) DeleteService(ctx context.Context, name string, dry bool) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodDelete, servicePath(name)+dryQuery(dry), nil)
}

func dryQuery(dry bool) string { return fmt.Sprintf("?dry_run=%t", dry) }

// Pools returns all pools, and who uses them.
func (c *Client) Pools(ctx context.Context) (api.Pools, error) {
	return get[api.Pools](ctx, c, http.MethodGet, "/v1/pools", nil)
}

// PutPool adds or replaces the pool of its name.
func (c *Client) PutPool(ctx context.Context, p api.Pool) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodPut, poolPath(p.Name), p)
}

// DeletePool removes a pool, or says what that would do. Errors: lb.ErrConflict while services use it.
func (c *Client) DeletePool(ctx context.Context, name string, dry bool) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodDelete, poolPath(name)+dryQuery(dry), nil)
}

func poolPath(name string) string { return "/v1/pools/" + url.PathEscape(name) }

// EditConfig changes the configuration. The edit returns the name of the one service that it has added, changed or removed, so that
// only that is sent; "" if it has done more. It may be called again, when somebody else changes the intent meanwhile: no change is
// lost. Errors: the edit's.
func (c *Client) EditConfig(ctx context.Context, edit func(*api.Config) (one string, err error)) (api.Change, error) {
	return untilFresh("the configuration", func() (out api.Change, err error) {
		doc, revision, err := c.Config(ctx)
		if err != nil {
			return out, err
		}
		name, err := edit(&doc)
		if err != nil {
			return out, err
		}
		if name == "" {
			return c.ApplyAt(ctx, doc, revision)
		}
		method, body := http.MethodDelete, any(nil)
		if n := slices.IndexFunc(doc.Services, func(s api.Service) bool { return s.Name == name }); n >= 0 {
			method, body = http.MethodPut, doc.Services[n]
		}
		_, err = c.call(ctx, method, servicePath(name), body, &out, at(revision)...)
		return out, err
	})
}

// untilFresh calls what reads something and changes it at the revision that it read, again and again while somebody else has changed
// the intent meanwhile.
func untilFresh(what string, try func() (api.Change, error)) (api.Change, error) {
	for range maxTries {
		if done, err := try(); !stale(err) {
			return done, err
		}
	}
	return api.Change{}, fmt.Errorf("change %s: %w: other clients keep changing the intent", what, lb.ErrConflict)
}

// maxTries bounds how often a change is tried again after somebody else changed the intent meanwhile. Each
// refusal means that another change succeeded, so in practice a few tries are enough.
const maxTries = 1000

// stale reports whether a change was refused because the intent is at another revision.
func stale(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Problem.Status == http.StatusPreconditionFailed
}
