package about

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/control/wire"
)

func hide(all []api.Service) {
	for n, s := range all {
		all[n] = wire.Hide(s)
	}
}

// secrets are those of package wire, as they may occur elsewhere: in the reason why a replica is unhealthy, for instance.
type secrets [][]byte

// shortest is the length of the shortest secret that is looked for: a shorter one would be found in other words.
const shortest = 6

// secretsOf returns those of the configuration.
func secretsOf(ctx context.Context, d *client.Client) (all secrets, err error) {
	doc, _, err := d.Config(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range doc.Services {
		all.learn(wire.Secrets(s)...)
	}
	slices.SortFunc(all, func(a, b []byte) int { return cmp.Compare(len(b), len(a)) }) // the longest first: one may have another in it
	return all, nil
}

// learn adds texts, and their values where they are settings as --password=x or a=1&b=2, as they are and as JSON has them.
func (all *secrets) learn(texts ...string) {
	for _, text := range texts {
		parts := []string{text}
		for setting := range strings.SplitSeq(text, "&") {
			if _, value, is := strings.Cut(setting, "="); is {
				parts = append(parts, value)
			}
		}
		for _, p := range parts {
			if len(p) < shortest {
				continue
			}
			quoted, _ := json.Marshal(p) // of a string it cannot fail
			*all = append(*all, []byte(p), quoted[1:len(quoted)-1])
		}
	}
}

// cut replaces what is secret.
func (all secrets) cut(text []byte) []byte {
	for _, s := range all {
		text = bytes.ReplaceAll(text, s, []byte(wire.Hidden))
	}
	return text
}
