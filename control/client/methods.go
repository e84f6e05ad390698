package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"lbctl/control/api"
)

// AnyRevision is the condition of a change that is made whatever the intent is.
const AnyRevision = 0

// match returns the headers of a change that is made only at a revision.
func match(revision uint64) []string {
	if revision == AnyRevision {
		return nil
	}
	return []string{"If-Match", fmt.Sprintf(`"%d"`, revision)}
}

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

// Apply replaces the whole intent, at any revision or at one.
func (c *Client) Apply(ctx context.Context, in api.Config, revision uint64) (api.Change, error) {
	var out api.Change
	_, err := c.call(ctx, http.MethodPut, "/v1/config", in, &out, match(revision)...)
	return out, err
}

// Plan returns what Apply would do.
func (c *Client) Plan(ctx context.Context, in api.Config) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodPost, "/v1/plan", in)
}

// Services returns all services.
func (c *Client) Services(ctx context.Context) (api.Services, error) {
	return get[api.Services](ctx, c, http.MethodGet, "/v1/services", nil)
}

// Service returns one service and what is remembered of its flows.
func (c *Client) Service(ctx context.Context, name string) (api.ServiceStatus, error) {
	return get[api.ServiceStatus](ctx, c, http.MethodGet, servicePath(name), nil)
}

// PutService adds or replaces the service of its name.
func (c *Client) PutService(ctx context.Context, s api.Service) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodPut, servicePath(s.Name), s)
}

// DeleteService removes a service.
func (c *Client) DeleteService(ctx context.Context, name string) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodDelete, servicePath(name), nil)
}

// Interfaces returns the attached interfaces.
func (c *Client) Interfaces(ctx context.Context) (api.Interfaces, error) {
	return get[api.Interfaces](ctx, c, http.MethodGet, "/v1/interfaces", nil)
}

// Attach attaches an interface.
func (c *Client) Attach(ctx context.Context, name, mode string) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodPut, "/v1/interfaces/"+url.PathEscape(name), api.Mode{Mode: mode})
}

// Detach detaches an interface.
func (c *Client) Detach(ctx context.Context, name string) (api.Change, error) {
	return get[api.Change](ctx, c, http.MethodDelete, "/v1/interfaces/"+url.PathEscape(name), nil)
}

// Counters returns the datapath's counters.
func (c *Client) Counters(ctx context.Context) (api.Counters, error) {
	return get[api.Counters](ctx, c, http.MethodGet, "/v1/counters", nil)
}

// Flows returns what is remembered of flows.
func (c *Client) Flows(ctx context.Context) (api.Flows, error) {
	return get[api.Flows](ctx, c, http.MethodGet, "/v1/flows", nil)
}

// Explain returns the way of a packet that is not sent.
func (c *Client) Explain(ctx context.Context, p api.Probe) (api.Explanation, error) {
	return get[api.Explanation](ctx, c, http.MethodPost, "/v1/explain", p)
}

// ExplainBatch returns the ways of packets that are not sent, in their order.
func (c *Client) ExplainBatch(ctx context.Context, p api.Probes) (api.Explanations, error) {
	return get[api.Explanations](ctx, c, http.MethodPost, "/v1/explain/batch", p)
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
