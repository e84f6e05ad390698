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

// Resolve implements huma.Resolver: it reads all fields of a name, also an empty one.
func (c *Conditional) Resolve(r huma.Context) []error {
	values := map[string][]string{}
	r.EachHeader(func(name, value string) {
		name = http.CanonicalHeaderKey(name)
		values[name] = append(values[name], value)
	})
	var errs [2]error
	c.match, errs[0] = parseCondition("If-Match", values["If-Match"])
	c.none, errs[1] = parseCondition("If-None-Match", values["If-None-Match"])
	c.wrong = errors.Join(errs[:]...)
	return nil
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
			slices.Contains(c.none.tags, etag(now.Number)), slices.Contains(c.none.tags, "W/"+etag(now.Number)):
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
