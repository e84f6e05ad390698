package wire

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"lbctl/control/api"
	"lbctl/control/intent"
)

// Differences returns the fields in which two intents differ, as documents have them, at most so many; omitted is how many more
// there are at the least. Fields are compared in the documents, so that none is forgotten here when one is added there.
// A side is empty where there is no such thing; of a service that is new or removed there is one line.
func Differences(old, next intent.Intent, most int) (all []api.FieldChange, omitted int) {
	add := func(c ...api.FieldChange) {
		room := min(most-len(all), len(c))
		all, omitted = append(all, c[:room]...), omitted+len(c)-room
	}
	add(compare("", withoutServices(old), withoutServices(next))...)
	add(poolChanges(old, next)...)
	add(compare("", setBy(old), setBy(next))...)
	var removed []api.FieldChange
	for was, is := range intent.Pairs(old.Services, next.Services) {
		switch {
		case is == nil:
			removed = append(removed, api.FieldChange{Field: "services[" + was.Name + "]", Before: brief(*was)})
		case was != nil && was.SameDeclared(is):
		case len(all) == most:
			omitted++ // what of it would take as long as what is shown
		case was != nil:
			add(compare(fmt.Sprintf("services[%s].", is.Name), Service(*was), Service(*is))...)
		default:
			add(api.FieldChange{Field: "services[" + is.Name + "]", After: brief(*is)})
		}
	}
	slices.SortFunc(removed, func(a, b api.FieldChange) int { return cmp.Compare(a.Field, b.Field) })
	add(removed...)
	return all, omitted
}

// withoutServices is an intent without what has names of its own.
func withoutServices(i intent.Intent) api.Config {
	i.Pools, i.Services = nil, nil
	return Config(i)
}

// setBy are the overrides of an intent, without who has set them and what they are over.
func setBy(i intent.Intent) (all api.Overrides) {
	for _, o := range Overrides(i) {
		o.Actor, o.Since, o.Declared = "", "", nil
		all.Overrides = append(all.Overrides, o)
	}
	return all
}

func brief(s intent.Service) string {
	if s.Pool != "" {
		return fmt.Sprintf("%v, pool: %s", s.VIP, s.Pool)
	}
	return fmt.Sprintf("%v, replicas: %d", s.VIP, len(s.Replicas))
}

// compare returns the fields in which two documents differ.
func compare(prefix string, old, next any) []api.FieldChange {
	before, after := map[string]string{}, map[string]string{}
	flatten(prefix, before, old)
	flatten(prefix, after, next)
	fields := maps.Clone(before)
	maps.Copy(fields, after)
	var all []api.FieldChange
	for _, f := range slices.Sorted(maps.Keys(fields)) {
		if before[f] != after[f] {
			all = append(all, api.FieldChange{Field: f, Before: before[f], After: after[f]})
		}
	}
	return all
}

// flatten writes the fields of a document into a map: "replicas[10.0.0.1:80].weight".
func flatten(prefix string, into map[string]string, doc any) {
	text, err := json.Marshal(doc)
	var tree map[string]any
	if err == nil {
		err = json.Unmarshal(text, &tree)
	}
	if err != nil {
		panic(fmt.Sprintf("a wire type is no JSON object: %v", err))
	}
	flattenObject(prefix, into, tree)
}

func flattenObject(prefix string, into map[string]string, object map[string]any) {
	for key, value := range object {
		flattenValue(prefix+key, into, value)
	}
}

func flattenValue(path string, into map[string]string, value any) {
	switch v := value.(type) {
	case map[string]any:
		flattenObject(path+".", into, v)
	case []any:
		for n, element := range v {
			flattenValue(fmt.Sprintf("%s[%s]", path, keyOf(n, element)), into, element)
		}
	default:
		into[path] = fmt.Sprint(v)
	}
}

// keyOf names an element of a list: by its name or address, an override by its replica, else by its place.
func keyOf(n int, element any) string {
	if object, is := element.(map[string]any); is {
		if replica, has := object["replica"].(string); has {
			return fmt.Sprintf("%v/%s", object["service_name"], replica)
		}
		for _, field := range []string{"name", "address"} {
			if name, has := object[field].(string); has {
				return name
			}
		}
	}
	return fmt.Sprint(n)
}
