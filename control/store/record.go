package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
)

// record is a revision as it is written: what it changed of the one before. The first of a file is
// what it changed of nothing.
type record struct {
	Revision uint64    `json:"revision"`
	Actor    string    `json:"actor,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Origin   string    `json:"origin,omitempty"`
	Time     time.Time `json:"time,omitzero"`
	// Config is the datapath and the interfaces, nil where they stayed.
	Config *api.Config `json:"config,omitempty"`
	// PoolOrder is the names of the pools, nil where they stayed.
	PoolOrder *[]string `json:"pool_order,omitempty"`
	// Pools are those that were added or changed, and null for those that were removed. Services that use one have its name alone,
	// so that a change of a pool is not one of them.
	Pools map[string]*api.Pool `json:"pools,omitempty"`
	// Order is the names of the services, nil where they stayed.
	Order *[]string `json:"order,omitempty"`
	// Services are those that were added or changed, and null for those that were removed.
	Services map[string]*api.Service `json:"services,omitempty"`
	// Overrides are all that was set by hand, nil where that stayed.
	Overrides *[]api.ReplicaOverride `json:"overrides,omitempty"`
}

// recordOf returns what a revision changed of an intent; all of it if there was none.
func recordOf(old *intent.Intent, next Revision) record {
	r := record{Revision: next.Number, Actor: next.Actor, Reason: next.Reason, Origin: next.Origin, Time: next.Time, Services: map[string]*api.Service{}}
	first := old == nil
	if first {
		old = &intent.Intent{}
	}
	if first || !old.Datapath.Equal(next.Intent.Datapath) || !slices.Equal(old.Interfaces, next.Intent.Interfaces) {
		bare := next.Intent
		bare.Pools, bare.Services = nil, nil
		c := wire.Config(bare)
		r.Config = &c
	}
	if !old.Overrides.Equal(next.Intent.Overrides) {
		all := wire.Overrides(next.Intent)
		r.Overrides = &all
	}
	r.addPools(*old, next.Intent)
	if first || !slices.EqualFunc(old.Services, next.Intent.Services, (*intent.Service).Named) {
		names := order(next.Intent)
		r.Order = &names
	}
	for was, is := range intent.Pairs(old.Services, next.Intent.Services) {
		switch {
		case is == nil:
			r.Services[was.Name] = nil
		case was == nil || !was.SameDeclared(is):
			doc := wire.Service(*is)
			r.Services[is.Name] = &doc
		}
	}
	return r
}

// addPools notes what changed of pools.
func (r *record) addPools(old, next intent.Intent) {
	had := make(map[string]intent.Pool, len(old.Pools))
	for _, p := range old.Pools {
		had[p.Name] = p
	}
	r.Pools = map[string]*api.Pool{}
	for _, p := range next.Pools {
		if was, there := had[p.Name]; !there || !was.Equal(p) {
			is := wire.Pool(p)
			r.Pools[p.Name] = &is
		}
		delete(had, p.Name)
	}
	for name := range had {
		r.Pools[name] = nil
	}
	if names := poolOrder(next); !slices.Equal(poolOrder(old), names) {
		r.PoolOrder = &names
	}
}

func poolOrder(i intent.Intent) []string {
	names := make([]string, 0, len(i.Pools))
	for _, p := range i.Pools {
		names = append(names, p.Name)
	}
	return names
}

func order(i intent.Intent) []string {
	names := make([]string, 0, len(i.Services))
	for _, s := range i.Services {
		names = append(names, s.Name)
	}
	return names
}

// line returns the record as it stands in the file.
func (r record) line() ([]byte, error) {
	text, err := json.Marshal(r)
	return append(text, '\n'), err
}

func (r record) entry() Entry {
	return Entry{Number: r.Revision, Actor: r.Actor, Reason: r.Reason, Origin: r.Origin, Time: r.Time}
}

// content is an intent as it is stored.
type content struct {
	Entry
	config           api.Config
	poolOrder, order []string
	pools            map[string]*api.Pool
	services         map[string]*api.Service
	// overrides are nil in a store of before there were any.
	overrides *[]api.ReplicaOverride
}

// apply makes the content that of the next revision.
func (c *content) apply(r record) error {
	if c.Number != 0 && r.Revision != c.Number+1 {
		return fmt.Errorf("revision %d follows %d", r.Revision, c.Number)
	}
	c.Entry = r.entry()
	if r.Config != nil {
		c.config = *r.Config
	}
	if r.PoolOrder != nil {
		c.poolOrder = *r.PoolOrder
	}
	if r.Order != nil {
		c.order = *r.Order
	}
	if r.Overrides != nil {
		c.overrides = r.Overrides
	}
	if c.pools == nil {
		c.pools = map[string]*api.Pool{}
	}
	maps.Copy(c.pools, r.Pools)
	if c.services == nil {
		c.services = map[string]*api.Service{}
	}
	maps.Copy(c.services, r.Services)
	return nil
}

// revision resolves the content. The error wraps lb.ErrInvalid.
func (c *content) revision() (Revision, error) {
	doc := c.config
	doc.Datapath = withinLimits(doc.Datapath)
	doc.Services = slices.Clone(doc.Services) // format 1 and 2 had them there
	for _, name := range c.poolOrder {
		p := c.pools[name]
		if p == nil {
			return Revision{}, fmt.Errorf("pool %s is missing", name)
		}
		doc.Pools = append(doc.Pools, *p)
	}
	for _, name := range c.order {
		s := c.services[name]
		if s == nil {
			return Revision{}, fmt.Errorf("service %s is missing", name)
		}
		doc.Services = append(doc.Services, *s)
	}
	if doc.Services == nil {
		doc.Services = []api.Service{}
	}
	base := intent.Default()
	if c.overrides != nil {
		all, err := wire.StoredOverrides(*c.overrides)
		if err != nil {
			return Revision{}, err
		}
		base.Overrides = all
	}
	i, err := wire.Resolve(doc, base)
	return Revision{Entry: c.Entry, Intent: i}, err
}

// withinLimits returns what an older build has stored, which took more flows than this one does, with as many as there can be.
func withinLimits(d *api.Datapath) *api.Datapath {
	if d == nil || d.Limits == nil || d.Limits.Flows == nil || *d.Limits.Flows <= lb.MaxFlows {
		return d
	}
	datapath, limits := *d, *d.Limits
	limits.Flows, datapath.Limits = new(int64(lb.MaxFlows)), &limits
	return &datapath
}

// whole returns the content as the first record of a file.
func (c *content) whole() record {
	r := record{Revision: c.Number, Actor: c.Actor, Reason: c.Reason, Origin: c.Origin, Time: c.Time, Config: &c.config,
		PoolOrder: &c.poolOrder, Pools: maps.Clone(c.pools), Order: &c.order, Services: maps.Clone(c.services), Overrides: c.overrides}
	maps.DeleteFunc(r.Pools, func(_ string, p *api.Pool) bool { return p == nil })
	maps.DeleteFunc(r.Services, func(_ string, s *api.Service) bool { return s == nil })
	return r
}
