package rest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
)

// Conditional is part of the input of every mutation. It is exported, as the other parts of inputs are, because the
// framework sees no others.
type Conditional struct {
	IfMatch     string `header:"If-Match" doc:"Change only if the intent is at one of these revisions (ETags), or, with *, if there is what the path names."`
	IfNoneMatch string `header:"If-None-Match" doc:"Change only if the intent is at none of these revisions (ETags), or, with *, if there is not yet what the path names."`
	match, none condition
	wrong       error
}

// Resolve implements huma.Resolver.
func (c *Conditional) Resolve(r huma.Context) []error {
	var errs [2]error
	c.match, errs[0] = conditionOf(r, "If-Match")
	c.none, errs[1] = conditionOf(r, "If-None-Match")
	c.wrong = errors.Join(errs[:]...)
	return nil
}

// Cached is the input of a GET whose answer a revision decides alone. That of services, replicas, flows and counters changes
// without a new one, so their ETag is good for changes, and they are always answered.
type Cached struct {
	IfNoneMatch string `header:"If-None-Match" doc:"Answer 304 without a body if the intent is at one of these revisions (ETags)."`
	none        condition
	wrong       error
}

// Resolve implements huma.Resolver.
func (c *Cached) Resolve(r huma.Context) []error {
	c.none, c.wrong = conditionOf(r, "If-None-Match")
	return nil
}

// cachedAnswer is an answer whose status may be 304.
type cachedAnswer[T any] struct {
	Status int
	ETag   string `header:"ETag" doc:"The revision of the intent, quoted."`
	Body   T
}

// cachedAt answers with what belongs to a revision, unless the client has it (RFC 9110, section 13.1.2).
func cachedAt[T any](in *Cached, revision uint64, body func() T) (*cachedAnswer[T], error) {
	if in.wrong != nil {
		return nil, in.wrong
	}
	a := &cachedAnswer[T]{Status: http.StatusNotModified, ETag: etag(revision)}
	if !in.none.any && !in.none.names(revision) {
		a.Status, a.Body = http.StatusOK, body()
	}
	return a, nil
}

// allows returns what the engine asks before a change of what exists tells whether it is there.
func (c *Conditional) allows(exists func(intent.Intent) bool) func(*engine.Snapshot) error {
	return func(now *engine.Snapshot) error {
		there := exists(now.Intent)
		switch {
		case c.wrong != nil:
			return c.wrong
		case c.match.any && !there:
			return &preconditionError{"If-Match: *: there is no such thing"}
		case c.none.any && there:
			return &preconditionError{"If-None-Match: *: it is there already"}
		case c.match.given && !c.match.any && !slices.Contains(c.match.tags, etag(now.Number)),
			c.none.names(now.Number):
			return fmt.Errorf("%w: it is at revision %d", engine.ErrStale, now.Number)
		}
		return nil
	}
}

// preconditionError: a condition with * is false.
type preconditionError struct{ what string }

func (e *preconditionError) Error() string { return e.what }

// condition is an If-Match or If-None-Match header (RFC 9110, section 13.1): any (*), or entity tags, weak ones included.
type condition struct {
	given, any bool
	tags       []string
}

// names reports whether the tag of a revision is among those of the condition, compared weakly.
func (c condition) names(revision uint64) bool {
	return slices.Contains(c.tags, etag(revision)) || slices.Contains(c.tags, "W/"+etag(revision))
}

// conditionOf reads all fields of a name, also an empty one.
func conditionOf(r huma.Context, name string) (condition, error) {
	var values []string
	r.EachHeader(func(field, value string) {
		if http.CanonicalHeaderKey(field) == name {
			values = append(values, value)
		}
	})
	return parseCondition(name, values)
}

func parseCondition(name string, values []string) (c condition, err error) {
	c.given = len(values) > 0
	for _, value := range values {
		if strings.TrimSpace(value) == "*" {
			c.any = true
			continue
		}
		for tag := range strings.SplitSeq(value, ",") {
			tag = strings.TrimSpace(tag)
			if tag != "" && !isTag(tag) {
				return c, conditionProblem(name, value)
			}
			c.tags = append(c.tags, tag)
		}
	}
	if c.any && len(values) > 1 {
		return c, conditionProblem(name, strings.Join(values, ", "))
	}
	return c, nil
}

// isTag reports whether text is an entity tag, as far as those of this server: without commas.
func isTag(text string) bool {
	text = strings.TrimPrefix(text, "W/")
	return len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' && !strings.Contains(text[1:len(text)-1], `"`)
}

func conditionProblem(name, value string) *api.Problem {
	const status = http.StatusBadRequest
	wrong := intent.NewProblem("header."+name, `want * alone, or revisions in quotes as the header ETag has them: "7"`, fmt.Sprintf("%q is no condition", value))
	return &api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: name + ": " + wrong.Reason, Hint: wrong.Hint,
		Errors: []api.Field{{Location: wrong.Field, Message: wrong.Reason, Hint: wrong.Hint}}}
}
