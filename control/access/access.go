// Package access decides who may use the API, and for what. There are two roles, and three ways to be somebody:
//
//   - on the unix socket, by the user, the group and the supplementary groups that the peer had when it connected (the kernel
//     tells them; nothing is looked up by process id). Root and the user of the daemon are operators; so are the members
//     of the socket's group, unless others are named.
//   - over TCP with TLS 1.3, by a certificate that the client CA has signed and whose subject or alternative name a rule names.
//   - over TCP with TLS 1.3, by a token of a file that has nothing but its hash.
//
// Who is nobody of these has no role, and without a role nothing is answered. A token or certificate that is taken away ends
// what it holds open. The zero Role has no rights, so that what is forgotten is refused.
package access

import (
	"fmt"
	"slices"
	"strings"
)

// Role is what somebody may do.
type Role uint8

const (
	// None may do nothing.
	None Role = iota
	// Viewer may read what changes nothing and shows no packets of clients.
	Viewer
	// Operator may do everything.
	Operator
)

// String returns the word for a role, as token files and the API's description have it.
func (r Role) String() string { return [...]string{"none", "viewer", "operator"}[r] }

// parseRole reads a role that somebody can be given.
func parseRole(text string) (Role, bool) {
	for _, r := range []Role{Viewer, Operator} {
		if text == r.String() {
			return r, true
		}
	}
	return None, false
}

// Roles are the words of the roles that somebody can be given.
func Roles() []string { return []string{Viewer.String(), Operator.String()} }

// Allows tells whether a role is enough for what needs another.
func (r Role) Allows(needed Role) bool { return r >= needed }

// Identity is who asks. The zero value is nobody.
type Identity struct {
	Role Role
	// Name is the user ("alice", "uid 4711"), the token ("token ci") or the certificate ("certificate ci.example.org").
	Name string
	// From is where the request comes from: "unix socket, uid 1000, pid 4711", or an address and port.
	From string
}

// Policy says who has which role. It does not change.
type Policy struct {
	// Operators and Viewers name users, groups and certificates. Without Operators of the socket, the members of
	// SocketGroup are operators.
	Operators, Viewers Rules
	// Owner is the user of the daemon, SocketGroup the group of its socket.
	Owner, SocketGroup uint32
}

// OpenSocket tells whether others than the members of the socket's group are to reach it: it is then open to all, and who has
// no role is told so.
func (p *Policy) OpenSocket() bool { return p.Operators.ofSocket() || p.Viewers.ofSocket() }

// Peer returns who a process at the other end of the socket is.
func (p *Policy) Peer(who Peer) Identity {
	id := Identity{Name: who.name(), From: fmt.Sprintf("unix socket, uid %d, pid %d", who.UID, who.PID)}
	member := !p.Operators.ofSocket() && who.in(p.SocketGroup)
	switch {
	case who.UID == 0, who.UID == p.Owner, member, p.Operators.peer(who):
		id.Role = Operator
	case p.Viewers.peer(who):
		id.Role = Viewer
	}
	return id
}

// Needs says which rules give the role, for the answer to somebody who lacks it.
func (p *Policy) Needs(r Role) string {
	who, rules := "root", p.Operators
	if !rules.ofSocket() {
		who = "root, a member of the socket's group"
	}
	if r == Viewer {
		rules = slices.Concat(p.Operators, p.Viewers)
	}
	if len(rules) == 0 {
		return who
	}
	return who + ", or one of " + rules.String()
}

// Rules name users, groups and certificates. With String, Set and Type they are a flag.
type Rules []rule

// kinds are what a rule can name, each with what it is compared with.
var kinds = []string{"user", "group", "cn", "ou", "dns", "uri"}

// String returns the rules as they were written.
func (rs *Rules) String() string {
	var words []string
	for _, r := range *rs {
		words = append(words, r.kind+":"+r.name)
	}
	return strings.Join(words, ",")
}

// Type names the kind of flag.
func (*Rules) Type() string { return "rules" }

// ofSocket tells whether some are of users or groups.
func (rs Rules) ofSocket() bool {
	return slices.ContainsFunc(rs, func(r rule) bool { return r.kind == "user" || r.kind == "group" })
}
