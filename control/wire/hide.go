package wire

import (
	"strings"

	"lbctl/control/api"
)

// Hidden stands for what may let somebody in.
const Hidden = "[redacted]"

// Secrets returns what Hide takes out of a service.
func Secrets(s api.Service) []string {
	h := s.Health
	if h == nil {
		return nil
	}
	_, query, _ := strings.Cut(h.Path, "?")
	return append([]string{h.Send, h.Expect, h.Body, query}, h.Command[min(1, len(h.Command)):]...)
}

// Hide returns a service without what of its check may let somebody in: of a command all but its name, what is sent and expected,
// and the query of a path. Configurations have it, for operators; logs and what is given away do not.
func Hide(s api.Service) api.Service {
	if s.Health == nil {
		return s
	}
	h := *s.Health
	if len(h.Command) > 1 {
		h.Command = []string{h.Command[0], Hidden}
	}
	for _, text := range []*string{&h.Send, &h.Expect, &h.Body} {
		if *text != "" {
			*text = Hidden
		}
	}
	h.Path = withoutQuery(h.Path)
	s.Health = &h
	return s
}

// HideChange is Hide of a line of Differences.
func HideChange(c api.FieldChange) api.FieldChange {
	_, field, is := strings.Cut(c.Field, "].health.")
	switch {
	case !is:
	case field == "path":
		c.Before, c.After = withoutQuery(c.Before), withoutQuery(c.After)
	case field == "send", field == "expect", field == "body", strings.HasPrefix(field, "command[") && field != "command[0]":
		for _, text := range []*string{&c.Before, &c.After} {
			if *text != "" {
				*text = Hidden
			}
		}
	}
	return c
}

func withoutQuery(path string) string {
	if path, _, has := strings.Cut(path, "?"); has {
		return path + "?" + Hidden
	}
	return path
}
