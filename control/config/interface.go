package config

import (
	"lbctl/control/api"
	"lbctl/control/reconcile"
)

// ResolveInterface makes an attachment of a document. The error is an *Error with
// fields "name" and "mode".
func ResolveInterface(doc api.Interface) (reconcile.Attachment, error) {
	var ps problems
	a := resolveInterface(&ps, "", doc)
	return a, ps.err()
}
