package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// WithService returns the intent with a service in the place of the one with its
// name, or at the end. The error is an *Error; fields of that service are without a prefix: "vip".
func (i Intent) WithService(service Service) (Intent, error) {
	old := i
	i.Services = slices.Clone(i.Services)
	n := slices.IndexFunc(i.Services, func(s Service) bool { return s.Name == service.Name })
	if n < 0 {
		n = len(i.Services)
		i.Services = append(i.Services, service)
	} else {
		i.Services[n] = service
	}
	return i, inService(i.ValidateAfter(old), n)
}

// inService shortens the fields of service n to what they are called in it.
func inService(err error, n int) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	for k, p := range e.Problems {
		e.Problems[k].Field = strings.TrimPrefix(p.Field, fmt.Sprintf("services[%d].", n))
	}
	return e
}
