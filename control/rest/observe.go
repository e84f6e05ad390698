package rest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/rest/encode"
	"lbctl/control/wire"
	"lbctl/lb"
)

type explainInput struct{ Document[api.Probe] }

type explainBatchInput struct{ Document[api.Probes] }

func (s *Server) observeRoutes(a huma.API) {
	register(a, "get-counters", http.MethodGet, "/v1/counters", "Packets and bytes by reason, service and replica",
		func(_ context.Context, in *countersInput) (*answer[api.Counters], error) {
			now := s.engine.Now()
			counters, err := in.count(s.engine.Observe())
			return answerAt(now.Number, wireCounters(now.Intent, counters)), err
		})
	register(a, "verify", http.MethodGet, "/v1/verify", "Compare what is in the kernel with what should be there; changes nothing",
		func(ctx context.Context, _ *struct{}) (*answer[api.Verification], error) { return s.verify(ctx, false) })
	register(a, "repair", http.MethodPost, "/v1/verify/repair", "Compare what is in the kernel with what should be there, and make it so",
		func(ctx context.Context, _ *struct{}) (*answer[api.Verification], error) { return s.verify(ctx, true) })
	register(a, "explain", http.MethodPost, "/v1/explain", "What would happen to a packet, and why; sends and changes nothing",
		func(_ context.Context, in *explainInput) (*answer[api.Explanation], error) {
			x, err := s.explainer(false)
			if err != nil {
				return nil, err
			}
			e, err := x.explain(in.value)
			return answerAt(x.revision, e), err
		})
	register(a, "explain-batch", http.MethodPost, "/v1/explain/batch", "What would happen to many packets, and why; sends and changes nothing",
		func(ctx context.Context, in *explainBatchInput) (*answer[api.Explanations], error) {
			x, err := s.explainer(in.value.Brief)
			if err != nil {
				return nil, err
			}
			all, err := x.explainAll(ctx, in.value.Probes)
			return answerAt(x.revision, api.Explanations{Explanations: all}), err
		})
}

func (s *Server) verify(ctx context.Context, repair bool) (*answer[api.Verification], error) {
	now, found, err := s.engine.Verify(ctx, repair)
	if err != nil {
		return nil, err
	}
	if s.verifyMore != nil {
		found.Join(s.verifyMore(repair))
	}
	condition, err := s.engine.Observe().Condition()
	v := api.Verification{Drifts: make([]api.Drift, 0, len(found.Drifts)), Found: found.Found, Repaired: found.Repaired,
		SinceStart: api.DriftCounts{Found: condition.Drifts, Repaired: condition.Mended}}
	for _, d := range found.Drifts {
		v.Drifts = append(v.Drifts, api.Drift{Table: d.Table, Row: d.Key, Want: d.Want, Have: d.Have, Repaired: d.Repaired})
	}
	return answerAt(now.Number, v), err
}

// explainer explains packets by the interfaces and the intent as they were when it was made.
type explainer struct {
	dp       engine.Observer
	intent   intent.Intent
	revision uint64
	brief    bool
	indexes  map[string]int
}

func (s *Server) explainer(brief bool) (*explainer, error) {
	now := s.engine.Now()
	x := &explainer{dp: s.engine.Observe(), intent: now.Intent, revision: now.Number, brief: brief, indexes: map[string]int{"": 0}}
	attached, err := x.dp.Interfaces()
	for _, i := range attached {
		x.indexes[i.Name] = i.Index
	}
	return x, err
}

// explain explains one packet. Errors: a *intent.Error; *notAttached; those of the datapath.
func (x *explainer) explain(doc api.Probe) (api.Explanation, error) {
	probe, err := wire.ResolveProbe(doc)
	if err != nil {
		return api.Explanation{}, err
	}
	index, attached := x.indexes[doc.Interface]
	if !attached {
		return api.Explanation{}, &notAttached{doc.Interface}
	}
	probe.Ingress = index
	e, err := x.dp.Explain(probe)
	if err != nil {
		return api.Explanation{}, err
	}
	return wireExplanation(x.intent, probe, e, x.brief), nil
}

// explainAll explains packets in order. An error names its packet. A frame that the datapath cannot
// look at is no error: its explanation says so.
func (x *explainer) explainAll(ctx context.Context, docs []api.Probe) ([]api.Explanation, error) {
	all := make([]api.Explanation, 0, len(docs))
	for n, doc := range docs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e, err := x.explain(doc)
		var wrong *intent.Error
		if errors.Is(err, lb.ErrInvalid) && !errors.As(err, &wrong) { // what the datapath cannot look at
			e, err = api.Explanation{Error: err.Error()}, nil
		}
		if err != nil {
			return nil, atProbe(n, err)
		}
		all = append(all, e)
	}
	return all, nil
}

// atProbe puts "probes[n]" before an error about probe n.
func atProbe(n int, err error) error {
	where := fmt.Sprintf("probes[%d]", n)
	var wrong *intent.Error
	if !errors.As(err, &wrong) {
		return fmt.Errorf("%s: %w", where, err)
	}
	for k := range wrong.Problems {
		wrong.Problems[k].Field = where + "." + wrong.Problems[k].Field
	}
	return wrong
}

// notAttached: the interface is not attached, so its packets are not balanced.
type notAttached struct{ name string }

func (e *notAttached) Error() string {
	return fmt.Sprintf("interface %q: not attached", e.name)
}

// Hint says what to do.
func (e *notAttached) Hint() string {
	return "attach it (lbctl attach), or name one that lbctl get interfaces shows"
}

// Unwrap makes it lb.ErrNotFound.
func (e *notAttached) Unwrap() error { return lb.ErrNotFound }

// Page is the part of the input of a request for a list that may be had in pieces: by name, each after the last of the one before.
type Page struct {
	Limit int    `query:"limit" minimum:"1" maximum:"100000" doc:"At most so many services or pools, in the order of names; next of the answer says after which to go on. Left out: all, in the order of the configuration."`
	After string `query:"after" doc:"Only those whose name comes after this one, in the order of names. That there is none of this name any more is no error." example:"web"`
}

// pageOf returns the part of a list that is asked for, and the name after which to go on, "" at the end. It sorts no more than
// the part.
func pageOf[E any](p Page, all []E, name func(E) string) (part []E, next string) {
	if p == (Page{}) {
		return all, ""
	}
	most := len(all)
	if p.Limit > 0 {
		most = min(most, p.Limit)
	}
	sort := func() { slices.SortFunc(part, func(a, b E) int { return cmp.Compare(name(a), name(b)) }) }
	beyond := "" // a name that is on no page before the next
	for _, e := range all {
		if of := name(e); of <= p.After && p.After != "" || beyond != "" && of >= beyond {
			continue
		}
		if part = append(part, e); len(part) > 2*most {
			sort()
			part = part[:most+1]
			beyond = name(part[most])
		}
	}
	if sort(); len(part) <= most {
		return part, ""
	}
	return part[:most], name(part[most-1])
}

// ServicePage is the part of the input of a request for a list of services, or of what they have.
type ServicePage struct {
	Page
	Service []string `query:"service" doc:"Only the services of these names, or what they have. That there is none of a name is an error." example:"[\"web\",\"dns\"]"`
}

// places are where the services of an intent are, by name.
type places struct {
	of []*intent.Service
	at map[string]int
}

// placeOf returns the place of a service in an intent. They are found once for all who ask, until the list is another one. Errors:
// lb.ErrNotFound.
func (s *Server) placeOf(i intent.Intent, name string) (int, error) {
	p := s.places.Load()
	if p == nil || len(p.of) != len(i.Services) || len(p.of) > 0 && &p.of[0] != &i.Services[0] {
		p = &places{i.Services, make(map[string]int, len(i.Services))}
		for n := range i.Services {
			p.at[i.Services[n].Name] = n
		}
		s.places.Store(p)
	}
	n, there := p.at[name]
	if !there {
		return 0, fmt.Errorf("service %q: %w", name, lb.ErrNotFound)
	}
	return n, nil
}

// servicesOf returns the places in the intent of the services that are asked for. Errors: lb.ErrNotFound.
func (s *Server) servicesOf(p ServicePage, now *engine.Snapshot) (part []int, next string, err error) {
	var all []int
	for _, name := range p.Service {
		n, err := s.placeOf(now.Intent, name)
		if err != nil {
			return nil, "", err
		}
		all = append(all, n)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if len(p.Service) == 0 {
		all = make([]int, len(now.Intent.Services))
		for n := range all {
			all[n] = n
		}
	}
	part, next = pageOf(p.Page, all, func(n int) string { return now.Intent.Services[n].Name })
	return part, next, nil
}

// status is an api.Status of which the services are encoded already, as long as they stay as they are.
type status struct {
	Conditions []api.Condition `json:"conditions"`
	Services   encode.Text     `json:"services"`
	Next       string          `json:"next,omitempty"`
}

// Schema implements huma.SchemaProvider.
func (status) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[api.Status](), true, "")
}

func (s *Server) statusRoutes(a huma.API) {
	register(a, "get-status", http.MethodGet, "/v1/status", "Whether the node and its services are as they are wanted",
		func(_ context.Context, in *ServicePage) (*answer[status], error) {
			state, err := s.conditions.Observe()
			if err != nil {
				return nil, err
			}
			out := status{Conditions: state.Node}
			if in.Page == (Page{}) && len(in.Service) == 0 {
				out.Services, err = state.Services()
				return answerAt(state.Now.Number, out), err
			}
			part, next, err := s.servicesOf(*in, state.Now)
			if err != nil {
				return nil, err
			}
			some := make([]api.ServiceConditions, 0, len(part))
			for _, n := range part {
				some = append(some, state.Service(n))
			}
			out.Next = next
			out.Services, err = json.Marshal(some)
			return answerAt(state.Now.Number, out), err
		})
	register(a, "get-service-status", http.MethodGet, "/v1/services/{name}/status", "Whether a service is as it is wanted",
		func(_ context.Context, in *ServicePath) (*answer[api.ServiceConditions], error) {
			state, err := s.conditions.Observe()
			if err != nil {
				return nil, err
			}
			n, err := s.placeOf(state.Now.Intent, in.Name)
			if err != nil {
				return nil, err
			}
			return answerAt(state.Now.Number, state.Service(n)), nil
		})
}
