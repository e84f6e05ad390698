package access

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"lbctl/lb"
)

// rule names one user or group, or one name of certificates.
type rule struct {
	kind, name string
	// id is the number of a user or group.
	id uint32
}

// Set reads "group:ops,user:alice,dns:ci.example.org" and adds it. Users and groups must exist, or be numbers. The error wraps lb.ErrInvalid.
func (rs *Rules) Set(text string) error {
	var all Rules
	for word := range strings.SplitSeq(text, ",") {
		r, err := parseRule(word)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	*rs = append(*rs, all...)
	return nil
}

func parseRule(word string) (rule, error) {
	kind, name, _ := strings.Cut(word, ":")
	if !slices.Contains(kinds, kind) || name == "" {
		return rule{}, fmt.Errorf("rule %q: %w: want %s, each with a name: group:ops,user:alice,dns:ci.example.org", word, lb.ErrInvalid, strings.Join(kinds, ", "))
	}
	r := rule{kind: kind, name: name}
	if kind != "user" && kind != "group" {
		return r, nil
	}
	number, err := idOf(kind, name)
	if err != nil {
		return rule{}, fmt.Errorf("rule %q: %w: no such %s on this host", word, lb.ErrInvalid, kind)
	}
	id, err := strconv.ParseUint(number, 10, 32)
	r.id = uint32(id)
	return r, err
}

// idOf returns the number of a user or group: of its name or, where nobody has that, of the number that it is.
func idOf(kind, name string) (string, error) {
	var id string
	var err error
	if kind == "user" {
		var u *user.User
		if u, err = user.Lookup(name); err == nil {
			id = u.Uid
		}
	} else {
		var g *user.Group
		if g, err = user.LookupGroup(name); err == nil {
			id = g.Gid
		}
	}
	if _, wrong := strconv.ParseUint(name, 10, 32); err != nil && wrong == nil {
		return name, nil
	}
	return id, err
}

// peer tells whether a rule names the user of a process, or one of its groups.
func (rs Rules) peer(p Peer) bool {
	return slices.ContainsFunc(rs, func(r rule) bool {
		return r.kind == "user" && r.id == p.UID || r.kind == "group" && p.in(r.id)
	})
}

// certificate tells whether a rule names a certificate. Names are compared as they are written, without wildcards; DNS names in any case.
func (rs Rules) certificate(c *x509.Certificate) bool {
	return slices.ContainsFunc(rs, func(r rule) bool {
		switch r.kind {
		case "cn":
			return c.Subject.CommonName == r.name
		case "ou":
			return slices.Contains(c.Subject.OrganizationalUnit, r.name)
		case "dns":
			return slices.ContainsFunc(c.DNSNames, func(n string) bool { return strings.EqualFold(n, r.name) })
		case "uri":
			return slices.ContainsFunc(c.URIs, func(u *url.URL) bool { return u.String() == r.name })
		}
		return false
	})
}

// Certificate returns who the holder of a verified certificate is. One that no rule names has no role.
func (p *Policy) Certificate(c *x509.Certificate) Identity {
	id := Identity{Name: "certificate " + nameOf(c)}
	switch {
	case p.Operators.certificate(c):
		id.Role = Operator
	case p.Viewers.certificate(c):
		id.Role = Viewer
	}
	return id
}

// nameOf names a certificate in a line of text.
func nameOf(c *x509.Certificate) string {
	name := c.Subject.CommonName
	switch {
	case len(c.DNSNames) > 0:
		name = c.DNSNames[0]
	case len(c.URIs) > 0:
		name = c.URIs[0].String()
	}
	const most = 100
	return strings.Trim(strconv.QuoteToGraphic(name[:min(len(name), most)]), `"`)
}
